"""Bad sources through a real Ray Data: each is refused at once, with the file, column or line that is at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from PIL import Image

from raytrain.data.sources import explain, read_source, read_table, rows_per_file
from raytrain.errors import ExitCode, Problem, SpecError, UserCodeError
from raytrain.spec.peek.inspect_source import inspect_source
from raytrain.spec.source_kinds import Source
from tests.data.sources.test_reading import write_image, write_tfrecords

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.timeout(60),  # a refusal that hangs is none
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good file and several faulty ones of each kind."""
    write_csv(tmp_path)
    write_json(tmp_path)
    write_numpy(tmp_path)
    write_parquet(tmp_path)
    write_images(tmp_path)
    write_records(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"good\n\xe9\n")
    (tmp_path / "nothing").mkdir()
    return tmp_path


def write_csv(folder: Path) -> None:
    texts = {"good": "x,y\n1,2\n", "other": "x,z\n1,2\n", "ragged": "x,y\n1,2\n3\n", "text": "x,y\na,2\n"}
    texts |= {"empty": "", "header": "x,y\n"}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)


def write_json(folder: Path) -> None:
    texts = {"good": '{"x": 1, "y": 2}\n', "other": '{"x": 1, "z": 2}\n', "cut": '{"x": 1, "y": 2}\n{"x": 1, "y"'}
    texts |= {"mixed": '{"x": 1, "y": 2}\n{"x": "a", "y": 2}\n', "text": '{"x": "a", "y": 2}\n', "scalar": "1\n2\n"}
    for name, text in texts.items():
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "empty.jsonl").touch()


def write_numpy(folder: Path) -> None:
    np.save(folder / "good.npy", np.zeros((4, 2)))
    np.save(folder / "wide.npy", np.zeros((4, 3)))
    np.save(folder / "short.npy", np.zeros(3))
    np.save(folder / "none.npy", np.zeros((0, 2)))
    np.save(folder / "single.npy", np.float64(1))
    np.save(folder / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (folder / "cut.npy").write_bytes((folder / "good.npy").read_bytes()[:-8])
    (folder / "nonsense.npy").write_bytes(b"no numbers")
    np.savez(folder / "good.npz", x=np.zeros(4))
    np.savez(folder / "uneven.npz", x=np.zeros(4), y=np.zeros(3))
    (folder / "cut.npz").write_bytes((folder / "good.npz").read_bytes()[:-30])


def write_parquet(folder: Path) -> None:
    pa.parquet.write_table(pa.table({"x": [1], "y": [2]}), folder / "good.parquet")
    pa.parquet.write_table(pa.table({"x": [1], "z": [2]}), folder / "other.parquet")
    pa.parquet.write_table(pa.table({"x": ["a"], "y": [2]}), folder / "text.parquet")
    pa.parquet.write_table(pa.table({"x": pa.array([], pa.int64())}), folder / "none.parquet")
    (folder / "cut.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-20])


def write_images(folder: Path) -> None:
    write_image(folder / "sizes" / "cat" / "1.png", 1)
    write_image(folder / "sizes" / "dog" / "2.png", 2, (5, 6))
    write_image(folder / "corrupt" / "cat" / "1.png", 1)
    (folder / "corrupt" / "cat" / "2.png").write_bytes(b"no image")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(folder / "noise.png")
    for name, content in (("1", (folder / "noise.png").read_bytes()), ("2", (folder / "noise.png").read_bytes()[:800])):
        (folder / "cut" / "cat").mkdir(parents=True, exist_ok=True)
        (folder / "cut" / "cat" / f"{name}.png").write_bytes(content)
    write_image(folder / "loose" / "cat" / "1.png", 1)
    write_image(folder / "loose" / "2.png", 1)
    (folder / "labels.csv").write_text("file\nsizes/cat/1.png\nsizes/cat/9.png\n")


def write_records(folder: Path) -> None:
    write_tfrecords(folder / "good.tfrecord", [{"x": [1]}, {"x": [2]}])
    whole = (folder / "good.tfrecord").read_bytes()
    (folder / "cut.tfrecord").write_bytes(whole[:-3])
    (folder / "spoilt.tfrecord").write_bytes(whole[:14] + bytes([whole[14] ^ 1]) + whole[15:])
    (folder / "length.tfrecord").write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    (folder / "empty.tfrecord").touch()
    write_tfrecords(folder / "other.tfrecord", [{"z": [1]}])
    write_tfrecords(folder / "floats.tfrecord", [{"x": [1]}, {"x": [0.5]}])


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"csv": "nope.csv"}, "", "nope.csv, which does not exist"),
    ({"csv": "nothing"}, "", "nothing, a folder without csv files"),
    ({"csv": "*.tsv"}, "", "*.tsv, which matches no file"),
    ({"csv": ["good.csv", "other.csv"]}, "other.csv", "the columns x, z"),
    ({"csv": ["good.csv", "ragged.csv"]}, "ragged.csv", "a row of 1 values"),
    ({"csv": ["good.csv", "text.csv"]}, "text.csv", "string in column 1, `x`"),
    ({"csv": ["good.csv", "empty.csv"]}, "empty.csv", "an empty file"),
    ({"csv": "header.csv"}, "", "no rows"),
    ({"json": "nope.jsonl"}, "", "nope.jsonl, which does not exist"),
    ({"json": ["good.jsonl", "cut.jsonl"]}, "cut.jsonl", "Expecting ':' delimiter"),
    ({"json": ["good.jsonl", "mixed.jsonl"]}, "mixed.jsonl", "text in column `x`"),
    ({"json": ["good.jsonl", "text.jsonl"]}, "text.jsonl", "string in column 1, `x`"),
    ({"json": ["good.jsonl", "scalar.jsonl"]}, "scalar.jsonl", "a value that is no row"),
    ({"json": "empty.jsonl"}, "empty.jsonl", "an empty file"),
    ({"numpy": ["good.npy", "wide.npy"]}, "wide.npy", "rows of shape (3,)"),
    ({"numpy": ["good.npy", "cut.npy"]}, "cut.npy", "56 bytes of data where the header tells of 64"),
    ({"numpy": ["good.npy", "nonsense.npy"]}, "nonsense.npy", "magic string"),
    ({"numpy": ["good.npy", "objects.npy"]}, "objects.npy", "Python objects"),
    ({"numpy": ["good.npy", "single.npy"]}, "single.npy", "a single value"),
    ({"numpy": ["good.npz", "cut.npz"]}, "cut.npz", "File is not a zip file"),
    ({"numpy": "uneven.npz"}, "uneven.npz", "different numbers of rows, x: 4, y: 3"),
    ({"numpy": {"a": "good.npy", "b": "short.npy"}}, "", "different numbers of rows, a: 4, b: 3"),
    ({"numpy": {"a": "good.npy", "b": "nope.npy"}}, "", "nope.npy, which does not exist"),
    ({"numpy": "none.npy"}, "", "no rows"),
    ({"parquet": ["good.parquet", "other.parquet"]}, "other.parquet", "the columns x, z"),
    ({"parquet": ["good.parquet", "text.parquet"]}, "text.parquet", "string in column 1, `x`"),
    ({"parquet": ["good.parquet", "cut.parquet"]}, "cut.parquet", "Parquet magic bytes not found"),
    ({"parquet": "none.parquet"}, "", "no rows"),
    ({"images": "sizes"}, "sizes/dog/2.png", "an image of 5x6 pixels"),
    ({"images": "corrupt"}, "corrupt/cat/2.png", "no image"),
    ({"images": "cut"}, "cut/cat/2.png", "truncated"),
    ({"images": "loose"}, "loose/2.png", "outside the folders of the classes"),
    ({"images": {"path": "sizes", "classes": ["cat", "dogs"]}}, "sizes/dog/2.png", "the class `dog`"),
    ({"images": "nothing"}, "", "nothing, a folder without images files"),
    ({"images": {"table": {"csv": "labels.csv"}, "column": "file", "size": [2, 2]}}, "sizes/cat/9.png", "no such file"),
    ({"images": {"table": {"csv": "labels.csv"}, "column": "path", "size": [2, 2]}}, "", "no column `path`"),
    ({"tfrecords": ["good.tfrecord", "cut.tfrecord"]}, "cut.tfrecord", "the end of the file within record 2"),
    ({"tfrecords": ["good.tfrecord", "spoilt.tfrecord"]}, "spoilt.tfrecord", "record 1 with a wrong checksum"),
    ({"tfrecords": ["good.tfrecord", "length.tfrecord"]}, "length.tfrecord", "a wrong checksum of its length"),
    ({"tfrecords": ["good.tfrecord", "other.tfrecord"]}, "other.tfrecord", "the columns z"),
    ({"tfrecords": "floats.tfrecord"}, "floats.tfrecord", "the feature `x` with values of several types"),
    ({"tfrecords": "empty.tfrecord"}, "", "no rows"),
    ({"text": "latin.txt"}, "latin.txt", "can't decode byte 0xe9"),
]


def refusal(folder: Path, **kind: Any) -> Problem:
    with pytest.raises(UserCodeError) as refused:
        read_table(Source.model_validate(kind), folder, field="data.train")
    assert refused.value.exit_code is ExitCode.RUN_FAILED
    return refused.value.problems[0]


@pytest.mark.parametrize(("kind", "file", "got"), FAULTS, ids=lambda value: str(value)[:60])
def test_the_driver_names_the_file(kind: dict[str, Any], file: str, got: str, folder: Path) -> None:
    found = refusal(folder, **kind)
    assert got in found.got
    assert found.file == file
    assert found.field == f"data.train.{next(iter(kind))}"
    assert "\n" not in str(found)
    assert str(folder) not in found.got


# What only decoding whole files or types inferred by Arrow can tell; the driver does, at the first pass.
DRIVER_ONLY = (
    *("text.csv", "header.csv", "none.npy", "none.parquet", "cut/cat/2.png", "sizes/cat/9.png"),
    *("other.tfrecord", "floats.tfrecord", "empty.tfrecord"),
)


@pytest.mark.parametrize(
    ("kind", "file"),
    [(kind, file) for kind, file, _ in FAULTS if not file.startswith(DRIVER_ONLY) and str(kind).count(".") != 1],
    ids=lambda value: str(value)[:60],
)
def test_the_client_refuses_what_it_can_see(kind: dict[str, Any], file: str, folder: Path) -> None:
    with pytest.raises(SpecError) as refused:
        inspect_source(Source.model_validate(kind), folder)
    if file and not isinstance(kind.get("numpy"), dict):
        assert refused.value.problems[0].file == file


def test_counting_refuses_types_that_do_not_fit(folder: Path) -> None:
    with pytest.raises(UserCodeError, match=r"text.csv: data.train.csv: got string in column 1, `x`, expected int64"):
        rows_per_file(Source(csv=["good.csv", "text.csv"]), folder, field="data.train")


def test_an_error_met_while_streaming_is_explained(folder: Path) -> None:
    source = Source(csv=["good.csv", "ragged.csv"])
    dataset = read_source(source, folder, field="data.train").dataset.map_batches(lambda batch: batch)
    with pytest.raises(ray.exceptions.RayError) as failed:
        dataset.materialize()
    [problem] = explain(failed.value, source, folder, "data.train").problems
    assert (problem.file, problem.field) == ("ragged.csv", "data.train.csv")


@pytest.mark.parametrize(
    ("spec", "got"),
    [
        ({"query": "select x from nowhere", "connect": "db.py:connect"}, "no such table: nowhere"),
        ({"query": "select 1 as x", "connect": "db.py:refuse"}, "the database is closed"),
        ({"query": "select 1 as x where 1 = 0", "connect": "db.py:connect"}, "no rows"),
        ({"query": "select 1 as x", "connect": "db.py:takes"}, "missing a required argument"),
        ({"query": "select 1 as x", "connect": "db.py:number"}, "`connection_factory`"),
    ],
)
def test_queries(spec: dict[str, Any], got: str, tmp_path: Path) -> None:
    (tmp_path / "db.py").write_text("""
import sqlite3
def connect(): return sqlite3.connect(":memory:")
def refuse(): raise ValueError("the database is closed")
def takes(url): return connect()
def number(): return 1
""")
    assert got in refusal(tmp_path, sql=spec).got


@pytest.mark.parametrize(
    ("kind", "got"),
    [
        ({"delta": "nowhere"}, "nowhere"),
        ({"lance": "nowhere"}, "nowhere"),
        ({"iceberg": {"table": "a.b", "catalog": {"type": "sql", "uri": "sqlite:///:memory:"}}}, "a.b"),
        ({"huggingface": {"path": "json", "data_files": "nowhere.jsonl"}}, "nowhere.jsonl"),
    ],
    ids=lambda value: str(*value) if isinstance(value, dict) else "",
)
@pytest.mark.filterwarnings("ignore")
def test_tables_that_are_not_there(kind: dict[str, Any], got: str, tmp_path: Path) -> None:
    assert got in refusal(tmp_path, **kind).got


@pytest.mark.parametrize("error", ["ValueError", "OSError", "KeyError"])
def test_what_a_function_raises_goes_through_with_its_line(error: str, tmp_path: Path) -> None:
    (tmp_path / f"raises_{error}.py").write_text(f"def load():\n    raise {error}('no rows today')\n")
    with pytest.raises(Exception, match="no rows today") as raised:
        read_table(Source(python=f"raises_{error}.py:load"), tmp_path, field="data.train")
    assert raised.type.__name__ == error
    assert raised.traceback[-1].lineno == 1


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "deltalake", None)
    found = refusal(tmp_path, delta="rows")
    assert found.got == "no package deltalake on the cluster"
    assert found.fix == "environment: {pip: [deltalake]}"


def test_files_of_different_partitions(tmp_path: Path) -> None:
    for place in ("set/year=1", "set"):
        (tmp_path / place).mkdir(exist_ok=True, parents=True)
        (tmp_path / place / "a.jsonl").write_text(json.dumps({"x": 1}))
    assert refusal(tmp_path, json="set").file == "set/year=1/a.jsonl"
    with pytest.raises(SpecError, match=r"set/year=1/a\.jsonl"):
        inspect_source(Source(json="set"), tmp_path)


def test_a_local_file_beside_one_of_an_object_store(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert "s3://b/c.csv beside a.csv" in refusal(tmp_path, csv=["a.csv", "s3://b/c.csv"]).got
