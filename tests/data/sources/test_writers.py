"""One table, written by each library as it writes by default, and the same answer from all of the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from raytrain.data.look.sampling import first_rows
from raytrain.data.pipeline import Pipeline
from raytrain.spec.source_kinds import Source
from tests.data.preprocess.tables import job

duckdb = pytest.importorskip("duckdb")
polars = pytest.importorskip("polars")

ROWS: dict[str, list[Any]] = {
    "flag": [True, False, None, True, False],
    "whole": [1, None, 3, 4, 5],
    "fraction": [0.25, -1.5, None, 4.0, 0.75],
    "text": ["a", "ä,b", None, "10", "a"],
    "group": ["u", "v", "u", "v", "v"],
}
LISTS = {"list": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 0]]}
WHEN = {"when": [datetime(2024, 1, day) for day in range(1, 6)]}
FILLS: dict[str, Any] = {
    "flag": {"fill": -1},
    "whole": {"fill": 0, "dtype": "float32"},  # pandas has whole numbers beside empty cells as fractions
    "fraction": {"fill": 0.1},
    "text": {"fill": "none"},
}
FRAME = pd.DataFrame(ROWS | LISTS | WHEN)
FLAT = pd.DataFrame(ROWS)


def as_spark_writes(path: Path) -> None:
    """Its names of lists' elements, its times of 96 bits, and its own metadata."""
    table = pa.Table.from_pylist(pa.table(ROWS | LISTS | WHEN).to_pylist())
    fields = [field if field.name != "list" else named_as_spark_does(field) for field in table.schema]
    schema = pa.schema(fields, {"org.apache.spark.version": "3.5.0"})
    pq.write_table(table.cast(schema), path, use_deprecated_int96_timestamps=True, store_schema=False)


def named_as_spark_does(field: pa.Field) -> pa.Field:
    return pa.field(field.name, pa.list_(pa.field("element", pa.int64())))


def by_duckdb(path: Path, form: str) -> None:
    frame = pa.table(ROWS | LISTS | WHEN if form == "PARQUET" else ROWS)  # noqa: F841  # DuckDB finds it by its name
    duckdb.sql(f"COPY (SELECT * FROM frame) TO '{path}' (FORMAT {form})")


def categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(text=frame["text"].astype("category"), group=frame["group"].astype("category"))


def nullable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(flag=frame["flag"].astype("boolean"), whole=frame["whole"].astype("Int16"))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda path: FRAME.to_parquet(path),
    "pandas 2": lambda path: FRAME.assign(text=FRAME["text"].astype(object)).to_parquet(path),
    "pandas' categories": lambda path: categories(FRAME).to_parquet(path),
    "pandas' nullable types": lambda path: nullable(FRAME).to_parquet(path),
    "pandas by Arrow": lambda path: FRAME.convert_dtypes(dtype_backend="pyarrow").to_parquet(path),
    "polars": lambda path: polars.DataFrame(ROWS | LISTS | WHEN).write_parquet(path),
    "polars' categories": lambda path: polars.DataFrame(ROWS | LISTS | WHEN)
    .with_columns(polars.col("text", "group").cast(polars.Categorical))
    .write_parquet(path),
    "polars by Arrow": lambda path: polars.DataFrame(ROWS | LISTS | WHEN).write_parquet(path, use_pyarrow=True),
    "Arrow": lambda path: pq.write_table(pa.table(ROWS | LISTS | WHEN), path),
    "Arrow in dictionaries": lambda path: pq.write_table(
        pa.table(ROWS | LISTS | WHEN).set_column(3, "text", pa.array(ROWS["text"]).dictionary_encode()), path
    ),
    "Spark's layout": as_spark_writes,
    "DuckDB": lambda path: by_duckdb(path, "PARQUET"),
}  # fmt: skip
CSV_WRITERS: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda path: FLAT.to_csv(path, index=False),
    "pandas with row numbers": lambda path: FLAT.to_csv(path),
    "polars": lambda path: polars.DataFrame(ROWS).write_csv(path),
    "Arrow": lambda path: pa.csv.write_csv(pa.table(ROWS), path),
    "DuckDB": lambda path: by_duckdb(path, "CSV"),
}
JSON_WRITERS: dict[str, Callable[[Path], Any]] = {
    "pandas": lambda path: FLAT.to_json(path, orient="records", lines=True),
    "polars": lambda path: polars.DataFrame(ROWS).write_ndjson(path),
    "json": lambda path: path.write_text(json.dumps(pa.table(ROWS).to_pylist())),
    "DuckDB": lambda path: by_duckdb(path, "JSON"),
}


def fed(folder: Path, kind: str, *, flat: bool = False) -> tuple[Any, ...]:
    """What the model is fed of a folder's files, column by column."""
    more: list[str] = [] if flat else [*LISTS, *WHEN]
    columns = FILLS | ({} if flat else {"when": {"timestamp": "days"}})
    steps = [{"encode": {"columns": ["text", "group"]}}]
    spec = job(*steps, features={name: name for name in [*ROWS, *more]}, columns=columns)
    table, _ = first_rows(Source.model_validate({kind: "."}), folder, "data.train", {}, most=100)
    pipeline = Pipeline(spec, folder)
    pipeline.fit(lambda: iter([table]))
    [features] = pipeline.apply(table)
    return tuple((name, array.dtype, array.tolist()) for name, array in sorted(features.items()))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("arrow")
    WRITERS["Arrow"](folder / "0.parquet")
    found = fed(folder, "parquet")
    by_name = {name: (dtype, values) for name, dtype, values in found}
    assert by_name["flag"] == (np.float32, [1, 0, -1, 1, 0])
    assert by_name["text"] == (np.int64, [1, 3, 2, 0, 1])  # 10, a, none, ä,b
    assert by_name["when"][1] == list(range(19723, 19728))
    return {"all": found, "flat": tuple(column for column in found if column[0] in ROWS)}


@pytest.mark.parametrize("writer", WRITERS)
def test_parquet(writer: str, expected: dict[str, Any], tmp_path: Path) -> None:
    WRITERS[writer](tmp_path / "0.parquet")
    assert fed(tmp_path, "parquet") == expected["all"]


@pytest.mark.parametrize("writer", CSV_WRITERS)
def test_csv(writer: str, expected: dict[str, Any], tmp_path: Path) -> None:
    CSV_WRITERS[writer](tmp_path / "0.csv")
    assert fed(tmp_path, "csv", flat=True) == expected["flat"]


@pytest.mark.parametrize("writer", JSON_WRITERS)
def test_json(writer: str, expected: dict[str, Any], tmp_path: Path) -> None:
    JSON_WRITERS[writer](tmp_path / "0.json")
    assert fed(tmp_path, "json", flat=True) == expected["flat"]


@pytest.mark.parametrize("writer", WRITERS)
def test_parquet_files_of_two_writers(writer: str, expected: dict[str, Any], tmp_path: Path) -> None:
    WRITERS["Arrow"](tmp_path / "0.parquet")
    WRITERS[writer](tmp_path / "1.parquet")
    table = {name: values for name, _, values in fed(tmp_path, "parquet")}
    assert table == {name: values * 2 for name, _, values in expected["all"]}
