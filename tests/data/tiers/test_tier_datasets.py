"""The three tiers on a real Ray cluster: loaded, served to two consuming processes, ended early, broken midway."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from raytrain.data.dataset import load_dataset
from raytrain.data.packed import Arrays
from raytrain.data.tiers import capacity, tier_datasets
from raytrain.data.tiers.dealt import Pass
from raytrain.data.tiers.passes import PassReader
from raytrain.data.tiers.readers import Reader
from raytrain.data.tiers.tier_datasets import Dataset, DealtDataset, cached_splits, spill_notices
from raytrain.data.tiers.worker_shards import DealtShards, Shards
from raytrain.errors import SpecError, UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import ShardPlan, plan_shards
from raytrain.spec.tier_choice import TierChoice

FILES, FILE_ROWS, WIDTH, BATCH = 4, 5_000, 256, 300
ROWS = FILES * FILE_ROWS

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def folder(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 MB in four parquet files: `y` numbers the rows, `t` is it as text, `x` has it in every element."""
    folder = tmp_path_factory.mktemp("rows")
    for file in range(FILES):
        numbers = np.arange(file * FILE_ROWS, (file + 1) * FILE_ROWS)
        x = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(numbers, WIDTH).astype(np.float32)), WIDTH)
        table = pa.table({"x": x, "t": pa.array(numbers.astype(str)), "y": numbers})
        pq.write_table(table, folder / f"{file}.parquet", row_group_size=1_000)
    return folder


def spec(cache: str, *, workers: int = 2, **data: Any) -> JobSpec:
    rows = {"train": {"parquet": "*.parquet"}, "features": {"x": "x", "t": "t"}, "label": "y", "cache": cache}
    document = {
        "name": "case",
        "model": "model.py:build_model",
        "data": {**rows, "validation": 0.1, "test": 0.05, **data},
        "fit": {"global_batch_size": BATCH, "seed": 3},
        "scaling": {"workers": workers},
    }
    return JobSpec.model_validate(document)


def read_epoch(reader: Reader, plan: ShardPlan, rank: int, *, epoch: int, shuffle: bool) -> list[int]:
    """The labels of a rank in an epoch; checks that each row is whole."""
    reading = reader.open(plan, rank, seed=3, epoch=epoch, shuffle=shuffle)
    labels: list[int] = []
    full = plan.rows // plan.global_batch_size
    chunks = [(step, min(7, full - step)) for step in range(0, full, 7)]
    for first, steps in chunks + ([(full, 1)] if plan.steps > full else []):
        features, numbers = reading.take(first, steps)
        assert (features["x"] == numbers[..., None]).all()
        texts = [text.decode() if isinstance(text, bytes) else text for text in features["t"].ravel()]
        assert texts == [str(number) for number in numbers.ravel()]
        labels += numbers.ravel().tolist()
    reading.close()
    return labels


class Consumer:
    """A Train worker, as far as reading goes."""

    def __init__(self, shards: Shards, plans: dict[str, ShardPlan], rank: int) -> None:
        self.plans = plans
        self.rank = rank
        self.readers = shards.fetch(rank)

    def epoch(self, split: str, epoch: int, shuffle: bool) -> list[int]:
        return read_epoch(self.readers[split], self.plans[split], self.rank, epoch=epoch, shuffle=shuffle)

    def begin(self, epoch: int) -> None:
        """Reads one step of an epoch, and no more."""
        self.reading = self.readers["train"].open(self.plans["train"], self.rank, seed=3, epoch=epoch, shuffle=True)
        self.reading.take(0, 1)

    def close(self) -> None:
        self.reading.close()


def consumers(shards: Shards, dataset: Dataset, workers: int = 2) -> list[Any]:
    plans = dataset.plans_for(workers)
    return [ray.remote(num_cpus=1)(Consumer).remote(shards, plans, rank) for rank in range(workers)]


def together(ranks: list[Any], split: str, epoch: int, *, shuffle: bool) -> list[list[int]]:
    return ray.get([rank.epoch.remote(split, epoch, shuffle) for rank in ranks])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shared_splits(folder: Path) -> dict[str, set[int]]:
    """The rows of each split, as the shared tier has them."""
    dataset = load_dataset(spec("shared"), folder)
    with dataset.serve() as shards:
        readers = shards.fetch(0)
        return {split: set(reader.example[1].tolist()) for split, reader in readers.items()}


@pytest.mark.parametrize("cache", ["shared", "sharded", "streaming"])
def test_every_row_of_every_split_is_read_once_an_epoch(
    cache: str, folder: Path, shared_splits: dict[str, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tier_datasets, "WINDOW_BYTES", 2 * 2**20)
    dataset = load_dataset(spec(cache), folder)
    assert dataset.tier.tier == cache
    assert (dataset.counts.train, dataset.counts.validation, dataset.counts.test) == (17_000, 2_000, 1_000)
    with dataset.serve(workers=2) as shards:
        ranks = consumers(shards, dataset)
        orders = []
        for epoch in (0, 1, 1):
            parts = together(ranks, "train", epoch, shuffle=True)
            assert tuple(map(len, parts)) == dataset.plans["train"].rows_per_worker
            assert sorted(parts[0] + parts[1]) == sorted(shared_splits["train"])
            orders.append(parts)
        assert orders[0] != orders[1]
        assert orders[1] == orders[2]
        assert np.abs(np.diff(orders[0][0])).mean() > 200  # mixed, not merely moved
        for split in ("validation", "test"):
            parts = together(ranks, split, 0, shuffle=False)
            assert sorted(parts[0] + parts[1]) == sorted(shared_splits[split])


def test_a_pass_cuts_its_source_no_finer_than_all_cpus_need(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Data's own choice are 20 blocks of 1 MB, each packed by a task of its own."""
    context = ray.data.DataContext.get_current()
    for name in ("read_op_min_num_blocks", "target_max_block_size"):
        monkeypatch.setattr(context, name, getattr(context, name))  # set back after this test
    dataset = load_dataset(spec("streaming", validation=None, test=None), folder)
    assert isinstance(dataset, DealtDataset)
    read = PassReader(
        sources=dataset.sources,
        apply=dataset.pipeline.apply,
        example=dataset.example,
        plans=dataset.plans_for(2),
        seed=3,
        worker_cpus=2,
    )
    blocks = list(read(Pass(source="train", splits=("train",), epoch=0)))
    assert sum(len(piece.rows) for block in blocks for pieces in block.pieces for piece in pieces) == ROWS
    assert len(blocks) <= 2 * 4


@pytest.mark.parametrize("cache", ["sharded", "streaming"])
def test_unshuffled_every_tier_gives_the_batches_of_one_process(cache: str, folder: Path) -> None:
    data: dict[str, Any] = {"shuffle": False, "validation": None, "test": None}
    dataset = load_dataset(spec(cache, **data), folder)
    whole = load_dataset(spec("shared", **data), folder)
    with whole.serve() as shared, dataset.serve(workers=2) as shards:
        parts = together(consumers(shards, dataset), "train", 1, shuffle=False)
        reader = shared.fetch(0)["train"]
        expected = [read_epoch(reader, dataset.plans_for(2)["train"], rank, epoch=1, shuffle=False) for rank in (0, 1)]
    assert parts == expected


@pytest.mark.parametrize("cache", ["shared", "sharded", "streaming"])
def test_a_worker_can_go_through_the_rows_of_all(cache: str, folder: Path, shared_splits: dict[str, set[int]]) -> None:
    """Which preprocessing layers that adapt to the train rows need."""
    dataset = load_dataset(spec(cache), folder)
    with dataset.serve(workers=1) as shards:
        train = shards.fetch(0)["train"]
        for _ in range(2):
            labels = [label for part in train.all_rows() for label in part[1].tolist()]
            assert labels == sorted(shared_splits["train"])


def test_streaming_resumes_within_an_epoch_where_it_was(folder: Path) -> None:
    dataset = load_dataset(spec("streaming", validation=None, test=None), folder)
    plan = dataset.plans_for(1)["train"]
    with dataset.serve(workers=1) as shards:
        reader = shards.fetch(0)["train"]
        whole = read_epoch(reader, plan, 0, epoch=4, shuffle=True)
        reading = reader.open(plan, 0, seed=3, epoch=4, shuffle=True)
        _, rest = reading.take(20, 3)
        reading.close()
    assert rest.ravel().tolist() == whole[20 * BATCH : 23 * BATCH]


def test_an_epoch_that_all_leave_early_blocks_nobody(folder: Path) -> None:
    dataset = load_dataset(spec("streaming", validation=None, test=None), folder)
    with dataset.serve(workers=2) as shards:
        ranks = consumers(shards, dataset)
        ray.get([rank.begin.remote(0) for rank in ranks])
        began = time.monotonic()
        ray.get([rank.close.remote() for rank in ranks], timeout=10)
        assert time.monotonic() - began < 2
        parts = together(ranks, "train", 1, shuffle=True)
        assert sorted(parts[0] + parts[1]) == list(range(ROWS))


def test_a_group_of_another_size_is_dealt_to_anew(folder: Path) -> None:
    dataset = load_dataset(spec("sharded", validation=None, test=None), folder)
    for workers in (3, 1):
        with dataset.serve(workers=workers) as shards:
            ranks = consumers(shards, dataset, workers)
            parts = together(ranks, "train", 0, shuffle=True)
            assert tuple(map(len, parts)) == dataset.plans_for(workers)["train"].rows_per_worker
            assert sorted(chain.from_iterable(parts)) == list(range(ROWS))


def test_rows_past_a_workers_memory_are_on_its_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_dataset(spec("sharded", workers=1, validation=None, test=None), folder)
    with dataset.serve(workers=1) as shards:
        assert isinstance(shards, DealtShards)
        on_disk = replace(shards, memory_bytes=1000)
        reader = on_disk.fetch(0)["train"]
        assert sorted(read_epoch(reader, dataset.plans["train"], 0, epoch=0, shuffle=True)) == list(range(ROWS))
        mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("(deleted)")]
        assert any(tempfile.gettempdir() in line for line in mapped)  # no name is left behind


def errors_of_two_ranks(dataset: Dataset) -> list[Exception]:
    """What each rank that reads an epoch ends with, however the other one does."""
    errors: list[Exception] = []

    def consume(shards: Shards, rank: int) -> None:
        try:
            reader = shards.fetch(rank)["train"]
            read_epoch(reader, dataset.plans_for(2)["train"], rank, epoch=0, shuffle=False)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    with dataset.serve(workers=2) as shards:
        threads = [threading.Thread(target=consume, args=(shards, rank)) for rank in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    return errors


@pytest.mark.parametrize("rows", [FILE_ROWS - 10, FILE_ROWS + 10], ids=["fewer", "more"])
def test_a_source_that_breaks_its_row_count_fails_every_rank(rows: int, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    dataset = load_dataset(spec("sharded", validation=None, test=None), tmp_path)
    table = pq.read_table(tmp_path / "3.parquet")
    pq.write_table(pa.concat_tables([table, table]).slice(0, rows), tmp_path / "3.parquet")
    errors = errors_of_two_ranks(dataset)
    assert [type(error) for error in errors] == [UserCodeError] * 2
    assert all("as it had when the job began" in str(error) for error in errors)


@pytest.mark.parametrize("cache", ["sharded", "streaming"])
def test_a_file_that_breaks_midway_fails_every_rank_with_its_name(cache: str, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    dataset = load_dataset(spec(cache, validation=None, test=None, shuffle=False), tmp_path)
    broken = tmp_path / "3.parquet"
    content = bytearray(broken.read_bytes())
    content[1000:60_000] = bytes(59_000)
    broken.write_bytes(content)
    errors = errors_of_two_ranks(dataset)
    assert [type(error) for error in errors] == [UserCodeError] * 2
    for error in errors:
        assert "3.parquet: data.train.parquet: got " in str(error)


def test_streaming_holds_no_more_than_its_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 MB of rows through a window of 20 MB."""
    rows = 100_000
    for file in range(8):
        x = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows // 8 * 1000, np.float32)), 1000)
        table = pa.table({"x": x, "y": np.arange(file * rows // 8, (file + 1) * rows // 8)})
        pq.write_table(table, tmp_path / f"{file}.parquet", row_group_size=2_000)
    monkeypatch.setattr(tier_datasets, "WINDOW_BYTES", 20 * 2**20)
    dataset = load_dataset(spec("streaming", features="x", validation=None, test=None, workers=1), tmp_path)
    with dataset.serve(workers=1) as shards:
        measure = ray.remote(num_cpus=1)(_memory_of_an_epoch)
        [memory, labels] = ray.get(measure.remote(shards, dataset.plans_for(1)["train"]))
    assert sorted(labels) == list(range(rows))
    assert memory < 200 * 2**20


def _memory_of_an_epoch(shards: Shards, plan: ShardPlan) -> tuple[int, list[int]]:
    """The growth of this process' own memory, without the object store's pages."""

    def private_bytes() -> int:
        text = Path("/proc/self/status").read_text()
        return int(text.partition("RssAnon:")[2].split()[0]) * 1024

    reading = shards.fetch(0)["train"].open(plan, 0, seed=0, epoch=0, shuffle=True)
    labels: list[int] = []
    before = most = private_bytes()
    for step in range(plan.steps):
        taken: Arrays = reading.take(step, 1)
        labels += taken[1].ravel().tolist()
        most = max(most, private_bytes())
    return most - before, labels


def test_workers_that_take_every_cpu_are_refused_before_they_start(folder: Path) -> None:
    with pytest.raises(SpecError, match="4 workers that take 4 of the cluster's 4 CPUs"):
        load_dataset(spec("streaming", workers=4), folder)
    load_dataset(spec("shared", workers=4), folder)


def test_beside_a_streamed_train_split_small_ones_are_cached() -> None:
    plans = {split: plan_shards(rows, workers=2, global_batch_size=4) for split, rows in (("train", 90), ("test", 10))}
    streaming = TierChoice(tier="streaming", why="")
    assert cached_splits(streaming, plans, row_bytes=8, memory_bytes=80) == ["test"]
    assert cached_splits(streaming, plans, row_bytes=8, memory_bytes=79) == []
    assert cached_splits(TierChoice(tier="sharded", why=""), plans, row_bytes=8, memory_bytes=0) == ["train", "test"]


def test_nodes_are_asked_without_the_proxy_for_what_lies_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_grpc_proxy", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert capacity.spilled_bytes() >= 0


def test_spilling_is_told_of() -> None:
    assert spill_notices(0) == []
    [notice] = spill_notices(3 * 2**30)
    assert notice.startswith("3.0 GiB of rows were spilled")
