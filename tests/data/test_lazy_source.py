"""Rows that are read in this process are those that Ray Data's tasks would read, types and order included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet

from raytrain.data.lazy_source import LazySource
from raytrain.data.sources import file_reading
from raytrain.errors import UserCodeError
from raytrain.spec.source_kinds import Source

pytestmark = pytest.mark.usefixtures("ray_cluster")
KINDS = ["parquet", "partitions", "other types", "csv", "json", "numpy", "text", "images"]


def written(kind: str, folder: Path) -> dict[str, Any]:
    """A source of two files, of 5 and 3 rows."""
    for number, rows in enumerate((5, 3)):
        table = pa.table(
            {"x": np.arange(rows) + 10 * number, "words": [f"w{row}" for row in range(rows)], "half": np.ones(rows) / 2}
        )
        name = folder / f"{number}"
        match kind:
            case "parquet":
                column = table.column("words").dictionary_encode()
                parquet.write_table(table.set_column(1, "words", column), f"{name}.parquet")
            case "partitions":
                for place in (f"day={number}", f"day={number}/who=a{number}"):
                    (folder / place).mkdir()
                parquet.write_table(table, folder / f"day={number}/who=a{number}/0.parquet")
            case "other types":
                wide = table.set_column(0, "x", table.column("x").cast(pa.float64())) if number else table
                parquet.write_table(wide, f"{name}.parquet")
            case "csv":
                csv.write_csv(table, f"{name}.csv")
            case "json":
                (folder / f"{number}.json").write_text("".join(f"{row}\n" for row in _lines(table)))
            case "numpy":
                np.savez(f"{name}.npz", x=np.arange(rows), image=np.ones((rows, 2, 3), np.float32))
            case "text":
                (folder / f"{number}.txt").write_text("one\ntwo\n")
            case "images":
                for row in range(rows):
                    (folder / f"class{number}").mkdir(exist_ok=True)
                    Image.new("RGB", (4, 3), (row, number, 0)).save(folder / f"class{number}/{row}.png")
    source = {"partitions": "parquet", "other types": "parquet"}.get(kind, kind)
    return {source: {"path": str(folder), "size": [3, 4]} if kind == "images" else str(folder)}


def _lines(table: pa.Table) -> list[str]:
    return [str({"x": row["x"], "inner": {"y": row["half"]}}).replace("'", '"') for row in table.to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_one_table_wherever_it_is_read(kind: str, tmp_path: Path) -> None:
    wanted: dict[str, Any]
    here = LazySource.of(Source.model_validate(written(kind, tmp_path)), tmp_path, "train", {})
    assert here.read.here is not None
    by_tasks = replace(here, read=replace(here.read, here=None))
    names = here.columns(list)
    assert names == by_tasks.columns(list)
    for wanted in ({}, {"rows": 2}, {"columns": names[:1]}):
        one, other = here.table(**wanted), by_tasks.table(**wanted)
        assert (one.schema, one.to_pylist()) == (other.schema, other.to_pylist())


def test_a_corrupt_file_is_named_wherever_it_is_read(tmp_path: Path) -> None:
    source = Source.model_validate(written("parquet", tmp_path))
    good = LazySource.of(source, tmp_path, "train", {})
    damaged = bytearray((tmp_path / "1.parquet").read_bytes())
    damaged[4:40] = bytes(36)
    (tmp_path / "1.parquet").write_bytes(damaged)
    for read in (good.read, replace(good.read, here=None)):
        with pytest.raises(UserCodeError) as refused:
            replace(good, read=read).table()
        assert "1.parquet" in refused.value.problems[0].file


def test_much_is_left_to_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "_READ_HERE_BYTES_OF_TEXT", 10)
    assert LazySource.of(Source.model_validate(written("csv", tmp_path)), tmp_path, "train", {}).read.here is None


def test_what_is_wrong_with_few_rows_is_told_without_tasks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers may have started, and hold every CPU that a task would wait for."""
    (tmp_path / "0.csv").write_text("x\n1\n")
    (tmp_path / "1.csv").write_text("x\nword\n")
    source = LazySource.of(Source.model_validate({"csv": str(tmp_path)}), tmp_path, "train", {})
    monkeypatch.setattr(file_reading, "_dataset", lambda *_: pytest.fail("a task was started"))
    with pytest.raises(UserCodeError) as refused:
        source.table()
    assert "1.csv" in str(refused.value)
