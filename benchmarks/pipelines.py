"""Input pipelines alone, no model: rows a second that two workers are fed, each tier beside Ray's and TensorFlow's own.

Run by `make bench`. All read the same parquet files; one after the other, in turns. A worker is an actor with one CPU
and TensorFlow in it. First epochs include what is loaded for them, from the call that begins the reading.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import ray
import ray.data

from benchmarks.machine import description
from benchmarks.works import ROWS, WORKS, load, write_data
from raytrain.data.dataset import load_dataset
from raytrain.data.tiers.worker_shards import Shards
from raytrain.spec.job import JobSpec
from raytrain.worker.process_setup import thread_environment

WORKERS = 2
BATCH = WORKS["rows"].global_batch_size
EPOCHS = 3
TIERS = ("shared", "sharded", "streaming")
BARS = (
    ("shared", "to_tf", "later", 20.0),
    ("sharded", "to_tf", "later", 20.0),
    ("shared", "from_tensor_slices", "later", 0.5),
    ("sharded", "from_tensor_slices", "later", 0.5),
    ("streaming", "iter_tf_batches", "later", 1.5),
    ("shared", "to_tf", "first", 1.0),
    ("sharded", "to_tf", "first", 1.0),
    ("streaming", "to_tf", "first", 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Fed:
    """Rows a second over both workers, and the largest resident memory of one."""

    first: float
    later: float
    resident_bytes: int


class Worker:
    """One worker: consumes an epoch at a time and says how long each took."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf

    def ready(self) -> None:
        """Returns when TensorFlow is imported."""

    def resident_bytes(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def feed(self, shards: Shards, spec: JobSpec, rank: int) -> list[float]:
        """raytrain's own: from the shards in dealt to the last batch of each epoch."""
        from raytrain.worker.open_feeds import make_feeds

        began = perf_counter()
        feed = make_feeds(spec, shards.fetch(rank), rank=rank, workers=WORKERS)["train"]
        feed.chunk_steps = 32
        return self._epochs(began, lambda epoch: _numbered(feed, epoch))

    def to_tf(self, split: Any) -> list[float]:
        batch = BATCH // WORKERS
        return self._epochs(
            perf_counter(), lambda epoch: split.to_tf(feature_columns="x", label_columns="y", batch_size=batch)
        )

    def iter_tf_batches(self, split: Any) -> list[float]:
        return self._epochs(perf_counter(), lambda epoch: split.iter_tf_batches(batch_size=BATCH // WORKERS))

    def from_tensor_slices(self, folder: str, rank: int) -> list[float]:
        x, y = load("rows", Path(folder))
        began = perf_counter()
        dataset = self._tf.data.Dataset.from_tensor_slices((x[rank::WORKERS], y[rank::WORKERS]))
        batches = dataset.batch(BATCH // WORKERS)
        return self._epochs(began, lambda epoch: batches)

    def _epochs(self, began: float, of: Callable[[int], Iterable[Any]]) -> list[float]:
        seconds = []
        for epoch in range(EPOCHS):
            for _ in of(epoch):
                pass
            seconds.append(perf_counter() - began)
            began = perf_counter()
        return seconds


def _numbered(feed: Any, epoch: int) -> Any:
    feed.epoch = epoch
    return feed


def run(contender: str, folder: Path) -> Fed:
    """Feeds two fresh workers for some epochs."""
    options = {"num_cpus": 1, "runtime_env": {"env_vars": thread_environment(1) | {"PYTHONPATH": str(Path.cwd())}}}
    workers = [ray.remote(Worker).options(**options).remote() for _ in range(WORKERS)]
    ray.get([worker.ready.remote() for worker in workers])
    began = perf_counter()
    if contender in TIERS:
        spec = _spec(folder, contender)
        with load_dataset(spec, folder).serve(workers=WORKERS) as shards:
            before_s = perf_counter() - began
            calls = [worker.feed.remote(shards, spec, rank) for rank, worker in enumerate(workers)]
            seconds = ray.get(calls)
    elif contender == "from_tensor_slices":
        before_s = 0.0
        seconds = ray.get([worker.from_tensor_slices.remote(str(folder), rank) for rank, worker in enumerate(workers)])
    else:
        files = [str(file) for file in sorted(folder.glob("*.parquet"))]
        dataset = ray.data.read_parquet(files).map_batches(_stack)
        splits = dataset.streaming_split(WORKERS, equal=True)
        before_s = perf_counter() - began
        calls = [getattr(worker, contender).remote(split) for worker, split in zip(workers, splits, strict=True)]
        seconds = ray.get(calls)
    resident = max(ray.get([worker.resident_bytes.remote() for worker in workers]))
    for worker in workers:
        ray.kill(worker)
    epochs = [max(parts) for parts in zip(*seconds, strict=True)]
    return Fed(first=ROWS / (before_s + epochs[0]), later=ROWS / statistics.median(epochs[1:]), resident_bytes=resident)


def _stack(batch: dict[str, Any]) -> dict[str, Any]:
    return {"x": np.stack(batch["x"]), "y": batch["y"]}


def _spec(folder: Path, tier: str) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "rows",
            "model": "works.py:build_model",
            "data": {"train": {"parquet": f"{folder}/*.parquet"}, "features": "x", "label": "y", "cache": tier},
            "fit": {"global_batch_size": BATCH},
            "scaling": {"workers": WORKERS},
        }
    )


def lines(turns: list[dict[str, Fed]]) -> Iterator[str]:
    yield description()
    yield ""
    yield f"{len(turns)} turns; {ROWS:,} rows x 64 float32, {WORKERS} workers, batch {BATCH}; rows a second, medians"
    yield f"{'':<22}{'first epoch':>14}{'later epochs':>14}{'worker MiB':>12}"
    for name in turns[0]:
        fed = [turn[name] for turn in turns]
        first, later = (statistics.median(getattr(one, field) for one in fed) for field in ("first", "later"))
        yield f"{name:<22}{first:>14,.0f}{later:>14,.0f}{max(one.resident_bytes for one in fed) >> 20:>12,}"
    yield ""
    yield f"{'ratio of rows a second':<52}{'is':>8}{'bar':>8}"
    for ours, theirs, field, at_least in BARS:
        ratio = statistics.median(getattr(turn[ours], field) / getattr(turn[theirs], field) for turn in turns)
        label = f"{field} epoch{'s' if field == 'later' else ''}, {ours} / {theirs}"
        yield f"{label:<52}{ratio:>8.2f}{at_least:>8.2f}{'' if ratio >= at_least else '  missed'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    contenders = ("to_tf", "iter_tf_batches", "from_tensor_slices", *TIERS)
    ray.init(num_cpus=4, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    turns: list[dict[str, Fed]] = []
    with tempfile.TemporaryDirectory(prefix="raytrain-bench-") as scratch:
        folder = Path(scratch) / "rows"
        write_data("rows", folder)
        for turn in range(options.turns):
            turns.append({})
            for contender in contenders:
                turns[-1][contender] = run(contender, folder)
                print(f"turn {turn + 1}: {contender} {turns[-1][contender]}", file=sys.stderr)  # noqa: T201
    print("\n".join(lines(turns)))  # noqa: T201


if __name__ == "__main__":
    main()
