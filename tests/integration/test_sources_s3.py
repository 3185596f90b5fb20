"""Sources in an object store, served by a real S3 server on this machine and named as users name theirs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from pyarrow import fs

from raytrain.data.sources import read_source, read_table, rows_per_file
from raytrain.errors import UserCodeError
from raytrain.spec.peek.inspect_source import SourceFacts, inspect_source
from raytrain.spec.source_kinds import Source
from tests.data.sources.test_reading import write_image
from tests.s3 import S3

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module", autouse=True)
def endpoint(object_store: S3) -> Iterator[str]:
    """The server's address, with files in it."""
    object_store.start()
    with object_store.in_environment():
        fill()
        yield object_store.endpoint
    object_store.stop()


def open_store() -> Any:
    """The bucket's file system; of Arrow's ways to open one, only that of URIs looks at AWS_ENDPOINT_URL."""
    return fs.FileSystem.from_uri("s3://data?allow_bucket_creation=true")[0]


def fill() -> None:
    """The bucket `data` with files of several kinds."""
    store = open_store()
    store.create_dir("data")
    parts = {f"rows/part-{index}.csv": f"x\n{index}\n".encode() for index in range(3)}
    parts |= {"rows/README": b"no data", "rows/_temporary/part-9.csv": b"x\n9\n", "other/a.csv": b"z\n1\n"}
    for year in (2020, 2021):
        parts[f"table/year={year}/a.parquet"] = parquet_bytes({"x": [year, year]})
    array = io.BytesIO()
    np.save(array, np.arange(6).reshape(3, 2))
    parts |= {"a.npy": array.getvalue(), "a.jsonl": b'{"x": 1}\n', "cut.npy": array.getvalue()[:-8]}
    for path, content in parts.items():
        with store.open_output_stream(f"data/{path}") as file:
            file.write(content)


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def table(**kind: Any) -> pa.Table:
    return read_table(Source.model_validate(kind), Path("/nowhere"), field="data.train")


def refusal(**kind: Any) -> str:
    with pytest.raises(UserCodeError) as refused:
        table(**kind)
    return str(refused.value)


@pytest.mark.parametrize(
    "names",
    [
        "s3://data/rows",
        "s3://data/rows/",
        "s3://data/rows/part-*.csv",
        "s3://data/*/part-[0-9].csv",
        ["s3://data/rows/part-0.csv", "s3://data/rows/part-1.csv", "s3://data/rows/part-2.csv"],
    ],
)
def test_folders_globs_and_lists(names: str | list[str]) -> None:
    assert table(csv=names).to_pylist() == [{"x": 0}, {"x": 1}, {"x": 2}]


def test_an_endpoint_in_the_uri(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = endpoint.removeprefix("http://")
    assert table(csv=f"s3://data/rows?scheme=http&endpoint_override={host}&region=us-east-1").num_rows == 3


def test_files_are_named_and_read_in_an_epochs_order() -> None:
    source = Source(csv="s3://data/rows")
    files = read_source(source, Path("/nowhere"), field="data.train").files
    assert files[0] == "s3://data/rows/part-0.csv"
    order = [files[2], files[0]]
    read = read_source(source, Path("/nowhere"), field="data.train", files=order)
    assert [row["x"] for row in read.dataset.take_all()] == [2, 0]
    assert rows_per_file(source, Path("/nowhere"), field="data.train", files=order) == (1, 1)


def test_parquet_partitions_numpy_json_and_images(tmp_path: Path) -> None:
    read = read_source(Source(parquet="s3://data/table"), tmp_path, field="data.train")
    assert (read.rows, len(read.files)) == (4, 2)
    assert table(parquet="s3://data/table").to_pylist()[2] == {"x": 2021, "year": 2021}
    assert table(numpy="s3://data/a.npy").num_rows == 3
    assert table(json="s3://data/a.jsonl").to_pylist() == [{"x": 1}]
    for name in ("cat", "dog"):
        write_image(tmp_path / name / "1.png", 1)
        with open_store().open_output_stream(f"data/pictures/{name}/1.png") as file:
            file.write((tmp_path / name / "1.png").read_bytes())
    found = table(images="s3://data/pictures")
    assert found.column("label").to_pylist() == [0, 1]
    assert found.column("path").to_pylist() == ["data/pictures/cat/1.png", "data/pictures/dog/1.png"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"csv": "s3://data/nothing.csv"}, "s3://data/nothing.csv, which does not exist"),
        ({"csv": "s3://data/table"}, "s3://data/table, a folder without csv files"),
        ({"csv": "s3://data/rows/*.tsv"}, "s3://data/rows/*.tsv, which matches no file"),
        ({"csv": "s3://nobucket/a.csv"}, "s3://nobucket/a.csv, which does not exist"),
        ({"csv": ["s3://data/rows/part-0.csv", "s3://data/other/a.csv"]}, "data/other/a.csv: data.train.csv: got the"),
        (
            {"numpy": ["s3://data/a.npy", "s3://data/cut.npy"]},
            "data/cut.npy: data.train.numpy: got 40 bytes of data where the header tells of 48",
        ),
        ({"csv": "nosuch://data/a.csv"}, "nosuch://data/a.csv, which cannot be reached"),
    ],
)
def test_what_is_not_there_is_named(kind: dict[str, Any], words: str) -> None:
    assert words in refusal(**kind)


def test_the_client_leaves_object_stores_to_the_cluster(tmp_path: Path) -> None:
    assert inspect_source(Source(csv="s3://data/rows"), tmp_path) == SourceFacts(rows=None, columns=None)
