from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources.partitions import typed_partitions
from raytrain.spec.source_kinds import Source
from tests.data.sources.test_readers_agree import tables_of


@pytest.mark.parametrize(
    ("folders", "values", "kind", "said"),
    [
        (["1", "20"], [1, 20], pa.int64(), ""),
        (["01", "10"], [1, 10], pa.int64(), "the folders c=… are a column of numbers: c=01 is 1"),
        (["-1", "0.5"], [-1.0, 0.5], pa.float64(), ""),
        (["a", "b%20c"], ["a", "b c"], pa.string(), ""),
        (["01", "2A"], ["01", "2A"], pa.string(), "are a column of text, as not all are numbers: 2A, 01"),
        (["1", "__HIVE_DEFAULT_PARTITION__"], [1, None], pa.int64(), ""),
        (["a", "null"], ["a", None], pa.string(), ""),
        (["a", ""], ["a", None], pa.string(), ""),
        (["__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"], [None, None], pa.string(), ""),
        (["NA", "DE"], ["NA", "DE"], pa.string(), ""),
        (["9" * 30, "1"], [float("9" * 30), 1.0], pa.float64(), ""),
    ],
)
def test_what_folders_are_worth(folders: list[str], values: list[Any], kind: pa.DataType, said: str) -> None:
    found, notices = typed_partitions([f"set/c={folder}/0.parquet" for folder in folders])
    assert [file["c"].as_py() for file in found] == values
    assert {file["c"].type for file in found} == {kind}
    assert len(notices) == bool(said)
    assert said in "".join(notices)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_missing_value_of_a_folder_is_an_empty_cell(kind: str, tmp_path: Path) -> None:
    for folder in ("year=2020", "year=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        (tmp_path / "set" / folder / f"0.{kind}").write_text("x\n1\n" if kind == "csv" else '{"x": 1}')
    table = join_tables(tables_of(Source.model_validate({kind: "set"}), tmp_path))
    assert table.to_pylist() == [{"x": 1, "year": 2020}, {"x": 1, "year": None}]
