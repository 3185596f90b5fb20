"""How large a source is taken to be, and what is done with one that changes: on a real Ray cluster."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raytrain.data import dataset
from raytrain.data.sources.file_kinds import format_of, listing_of, size_of
from raytrain.data.tiers.capacity import measure
from raytrain.errors import UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.spec.source_kinds import Source

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def job(**data: Any) -> JobSpec:
    fit = {"global_batch_size": 4}
    return JobSpec.model_validate({"name": "case", "model": "model.py:build_model", "data": data, "fit": fit})


@pytest.mark.usefixtures("ray_cluster")
def test_images_in_cells_are_as_large_as_their_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    pq.write_table(pa.table({"x": [file.getvalue()] * 40}), tmp_path / "0.parquet")
    pixels = 40 * 64 * 64 * 3
    monkeypatch.setattr(dataset, "measure", lambda workers: replace(measure(workers), object_store_bytes=pixels))
    spec = job(train={"parquet": "."}, features="x", columns={"x": {"size": [64, 64]}})
    assert dataset.load_dataset(spec, tmp_path).tier.tier == "sharded"


def test_packed_files_are_larger_in_memory(tmp_path: Path) -> None:
    text = "x\n" + "\n".join(map(str, np.random.default_rng(0).integers(1000, size=5000)))
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))

    def size(name: str) -> int:
        source = Source.model_validate({"csv": name})
        listing = listing_of(source, tmp_path, "data.train.csv")
        form = format_of(source, listing, tmp_path, "data.train.csv")
        return size_of(listing, form).bytes

    assert (tmp_path / "a.csv.gz").stat().st_size < size("a.csv") == len(text) < size("a.csv.gz")


GROWING = """
from pathlib import Path
import ray

def load():
    def rows(batch):
        with Path("MARK").open("a") as reads:
            reads.write("x" * 1000)
        return {"x": [float(number) for number in range(Path("MARK").stat().st_size)]}

    return ray.data.range(1, override_num_blocks=1).map_batches(rows, batch_size=None)
"""


@pytest.mark.usefixtures("ray_cluster")
def test_a_source_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "growing.py").write_text(GROWING.replace("MARK", str(tmp_path / "mark")))
    spec = job(
        train={"python": "growing.py:load"},
        features="x",
        validation=0.1,
        cache="streaming",
        preprocess=[{"standardize": {"columns": ["x"]}}],
    )
    with pytest.raises(UserCodeError, match="the source changed while it was read"):
        dataset.load_dataset(spec, tmp_path)


@pytest.mark.usefixtures("ray_cluster")
def test_what_a_source_makes_of_its_columns_is_said(tmp_path: Path) -> None:
    for year in ("01", "2A"):
        (tmp_path / f"t/year={year}").mkdir(parents=True)
        (tmp_path / f"t/year={year}/0.csv").write_text(",a,y\n" + "".join(f"{row},{row}.5,0\n" for row in range(4)))
    spec = job(train={"csv": "t"}, features="a", label="y")
    assert dataset.load_dataset(spec, tmp_path).notices == (
        "the folders year=… are a column of text, as not all are numbers: 2A, 01",
        "column 1, `Unnamed: 0`, numbers the rows and is no feature; data.features may name it",
    )
    named = spec.model_copy(update={"data": spec.data.model_copy(update={"features": ["Unnamed: 0", "a"]})})
    assert len(dataset.load_dataset(named, tmp_path).notices) == 1
