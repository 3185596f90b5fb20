import csv
import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from pydantic import ValidationError

from raytrain.errors import Problem, SpecError
from raytrain.spec.peek.inspect_source import SourceFacts, inspect_source, source_columns
from raytrain.spec.source_kinds import Source


def facts(folder: Path, **source: Any) -> tuple[int | None, tuple[str, ...] | None]:
    found = inspect_source(Source.model_validate(source), folder)
    assert source_columns(Source.model_validate(source), folder) == found.columns
    return found.rows, found.columns


def problem(folder: Path, **source: Any) -> Problem:
    with pytest.raises(SpecError) as caught:
        inspect_source(Source.model_validate(source), folder)
    return caught.value.problems[0]


def test_inline_rows_and_columns(tmp_path: Path) -> None:
    assert facts(tmp_path, inline=[{"a": 1, "b": 2}, {"b": 3, "a": None}]) == (2, ("a", "b"))
    assert facts(tmp_path, inline={"a": [1, 2, 3], "b": [1, 2, 3]}) == (3, ("a", "b"))
    assert problem(tmp_path, inline=[{"a": 1}, {"a": 1}, {"b": 1}]).got == "row 2 with b"
    assert "without rows" in problem(tmp_path, inline={"a": []}).got


def test_arrays_of_a_live_process(tmp_path: Path) -> None:
    index = {"schema_version": 1, "rows": 5, "bytes": 60, "parts": {"x": {"a": "0.npy"}, "y": "1.npy"}}
    (tmp_path / "index.json").write_text(json.dumps(index))

    assert facts(tmp_path, arrays=str(tmp_path)) == (5, ("x", "y"))
    assert facts(tmp_path, arrays="s3://bucket/runs/a/given/train") == (None, None)
    assert "index.json" in problem(tmp_path, arrays=str(tmp_path / "none")).expected


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n3,4\n", 2),
        ("a,b\n1,2\n3,4", 2),
        ("a,b\r\n1,2\r\n", 1),
        ("a,b\n\n1,2\n\n", 1),
        ('a,b\n"x\ny",2\n"say ""hi""\n",3\n', 2),
        ("\ufeffa,b\n1,2\n", 1),
        ("a,b\n", 0),
        ('"a","b"\n1,2\n', 1),
    ],
)
def test_csv_rows_are_counted_as_csv(tmp_path: Path, text: str, rows: int) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert facts(tmp_path, csv="t.csv") == (rows, ("a", "b"))


def test_many_csv_files_and_compressed_ones(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("b,a\n1,2\n3,4\n")
    with gzip.open(tmp_path / "3.csv.gz", "wt") as file:
        file.write("a,b\n1,2\n")
    assert facts(tmp_path, csv="[12].csv") == (3, ("a", "b"))
    assert facts(tmp_path, csv=["3.csv.gz", "1.csv"]) == (2, ("a", "b"))
    (tmp_path / "k=1").mkdir()
    (tmp_path / "1.csv").rename(tmp_path / "k=1" / "1.csv")
    assert facts(tmp_path, csv="k=1") == (1, ("a", "b", "k"))


@pytest.mark.parametrize(
    ("text", "got", "line"),
    [
        ("", "an empty file", 0),
        ("\n\n", "an empty file", 0),
        ("a,\n1,2\n", "a header whose column 2 of 2 has no name", 1),
        ("a,b,a\n1,2,3\n", "the column `a` twice", 1),
        ('a,b\n"1\n1",2\n3\n', "a row of 1 values", 4),
        ("a,b\n1,2,3\n", "a row of 3 values", 2),
        ("a,b\n\udcff,2\n", "can't decode", 0),
    ],
)
def test_bad_csv_names_its_file_and_line(tmp_path: Path, text: str, got: str, line: int) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = problem(tmp_path, csv="t.csv")
    assert got in found.got
    assert (found.file, found.line) == ("t.csv", line)


def test_csv_files_of_one_source_agree(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    found = problem(tmp_path, csv="*.csv")
    assert (found.file, found.expected) == ("2.csv", "a, b, as in 1.csv")


def test_huge_csv_is_left_for_the_driver_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr("raytrain.spec.peek.inspect_source.COUNT_UP_TO_BYTES", 3)
    assert facts(tmp_path, csv="t.csv") == (None, ("a", "b"))


def test_parquet_metadata(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for part, rows in (("k=1/a", 2), ("k=2/b", 3)):
        file = tmp_path / "table" / f"{part}.parquet"
        file.parent.mkdir(parents=True)
        parquet.write_table(pa.table({"x": list(range(rows)), "y": list(range(rows))}), file)
    assert facts(tmp_path, parquet="table") == (5, ("x", "y", "k"))
    assert facts(tmp_path, parquet="table/k=2/*.parquet") == (3, ("x", "y", "k"))
    parquet.write_table(pa.table({"z": [1]}), tmp_path / "table" / "k=2" / "c.parquet")
    found = problem(tmp_path, parquet="table")
    assert (found.file, found.got) == ("table/k=2/c.parquet", "the columns z")
    assert found.expected == "x, y, as in table/k=1/a.parquet"


def test_what_is_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_text("a,b\n")
    assert (problem(tmp_path, parquet="t.parquet").file, problem(tmp_path, parquet="t.parquet").expected) == (
        "t.parquet",
        "a parquet file",
    )


ELSEWHERE: list[dict[str, Any]] = [
    {"python": "data.py:load"},
    {"csv": "s3://b/x.csv"},
    {"parquet": "/no/such/folder"},
    {"images": "gs://b/pictures"},
    {"delta": "s3://b/table"},
    {"sql": {"query": "select 1", "connect": "data.py:connect"}},
    {"iceberg": {"table": "a.b"}},
    {"huggingface": "mnist"},
]


@pytest.mark.parametrize("source", ELSEWHERE, ids=lambda source: next(iter(source)))
def test_what_only_the_cluster_can_know(source: dict[str, Any], tmp_path: Path) -> None:
    assert inspect_source(Source.model_validate(source), tmp_path) == SourceFacts(rows=None, columns=None)


@pytest.mark.parametrize(
    ("text", "got", "line"),
    [
        ("", "an empty file", 0),
        ('{"x": 1}\n{"x": 1, "y"', "Expecting ':' delimiter", 2),
        ('{"x": 1}\n\n{"x": "a"}\n', "text in column `x`", 3),
        ('{"x": 1}\n{"x": true}\n', "true or false in column `x`", 2),
        ("[1]\n", "a value that is no row", 0),
        ("3\n", "a value that is no row", 1),
        ("\udcff\n", "can't decode", 0),
    ],
)
def test_bad_json_names_its_file_and_line(tmp_path: Path, text: str, got: str, line: int) -> None:
    (tmp_path / "t.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = problem(tmp_path, json="t.jsonl")
    assert got in found.got
    assert (found.file, found.line) == ("t.jsonl", line)


def test_json_columns_are_those_of_all_rows(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": null}\n{"a": 0.5, "b": "x", "c": 1}\n')
    assert facts(tmp_path, json="t.jsonl") == (2, ("a", "b", "c"))


def npy(shape: str, descr: str = "<f4", data: int = 0) -> bytes:
    """A .npy file, written without numpy."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(data)


def test_numpy_headers(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy("(3, 2)", data=24))
    (tmp_path / "y.npy").write_bytes(npy("(3, 2)", data=24))
    (tmp_path / "t.npy").write_bytes(npy("(3,)", "<U5", data=60))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", npy("(4, 2, 2)", "|u1", data=16))
        archive.writestr("label.npy", npy("(4,)", "<i8", data=32))
    assert facts(tmp_path, numpy="x.npy") == (3, ("data",))
    assert facts(tmp_path, numpy="a.npz") == (4, ("image", "label"))
    assert facts(tmp_path, numpy={"a": "x.npy", "b": "t.npy"}) == (3, ("a", "b"))
    for source, size in (("x.npy", 24), ("t.npy", 60), ("a.npz", 48), (["x.npy", "y.npy"], 48)):
        assert inspect_source(Source(numpy=source), tmp_path).bytes == size


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (npy("(3, 2)", data=23), "23 bytes of data where the header tells of 24"),
        (npy("()", data=4), "a single value"),
        (npy("(3,)", "|O", data=24), "Python objects"),
        (b"\x93NUMPY\x01\x00\x05\x00what?", "Cannot parse header"),
        (b"PK\x03\x04 and nonsense", "not a zip file"),
        (b"x", "expected 8 bytes got 1"),
    ],
)
def test_bad_numpy_files(content: bytes, got: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    found = problem(tmp_path, numpy="x.npy")
    assert (found.file, got in found.got) == ("x.npy", True), found


def test_numpy_columns_of_several_lengths(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy("(3,)", data=12))
    (tmp_path / "y.npy").write_bytes(npy("(2,)", data=8))
    assert problem(tmp_path, numpy={"x": "x.npy", "y": "y.npy"}).got == "different numbers of rows, x: 3, y: 2"


def checksum(data: bytes) -> bytes:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def record(data: bytes) -> bytes:
    """Of a TFRecord file, written without TensorFlow."""
    length = len(data).to_bytes(8, "little")
    return length + checksum(length) + data + checksum(data)


def test_records_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(record(b"hello") * 3)
    assert facts(tmp_path, tfrecords="a.tfrecord") == (3, None)
    (tmp_path / "a.tfrecord").write_bytes((record(b"hello") * 3)[:-1])
    assert problem(tmp_path, tfrecords="a.tfrecord").got == "the end of the file within record 3"
    (tmp_path / "a.tfrecord.gz").write_bytes(gzip.compress(record(b"hello") * 4))
    assert facts(tmp_path, tfrecords="a.tfrecord.gz") == (4, None)


def test_records_of_large_files_are_counted_by_their_lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.spec.peek.inspect_source.COUNT_UP_TO_BYTES", 3)
    records = bytearray(record(b"hello") * 3)
    records[14] ^= 1  # of data, which is not read
    (tmp_path / "a.tfrecord").write_bytes(records)
    assert facts(tmp_path, tfrecords="a.tfrecord") == (3, None)
    (tmp_path / "a.tfrecord").write_bytes(records[:-1])
    assert problem(tmp_path, tfrecords="a.tfrecord").got == "the end of the file within record 3"
    records[0] ^= 1
    (tmp_path / "a.tfrecord").write_bytes(records)
    assert problem(tmp_path, tfrecords="a.tfrecord").got == "record 1 with a wrong checksum of its length"
    (tmp_path / "b.tfrecord.gz").write_bytes(gzip.compress(records))
    assert facts(tmp_path, tfrecords="b.tfrecord.gz") == (None, None)


def test_lines_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\nthree")
    assert facts(tmp_path, text="a.txt") == (3, ("text",))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"images": {"size": [2, 2]}}, "expected one of path and table, got none"),
        ({"images": {"path": "p", "table": {"csv": "t.csv"}}}, "expected one of path and table, got both"),
        ({"images": {"table": {"csv": "t.csv"}}}, "expected a size beside table"),
        ({"images": {"path": "p", "classes": ["a", "a"]}}, "expected each class once"),
        ({"images": {"path": "p", "size": [2]}}, "at least 2 items"),
        ({"images": {"path": "p", "size": [0, 2]}}, "greater than 0"),
        ({"images": {"path": "p", "mode": "BGR"}}, "'RGB', 'RGBA', 'L', 'P', 'I;16', 'I' or 'F'"),
        ({"sql": {"query": "select 1"}}, "connect"),
        ({"csv": "a.csv", "json": "a.json"}, "exactly one of"),
    ],
)
def test_specs_that_are_refused(source: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        Source.model_validate(source)


def test_sklearn_sets(tmp_path: Path) -> None:
    rows, columns = facts(tmp_path, sklearn="digits")
    assert rows == 1797
    assert columns is not None
    assert columns[:5] == ("features", "target", "image", "digit", "pixel_0_0")
    assert len(columns) == 68


def test_an_archive_or_several_files_for_a_numpy_column(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        archive.writestr("x.npy", npy("(3,)", data=12))
    (tmp_path / "d").mkdir()
    for name in ("d/x.npy", "d/y.npy"):
        (tmp_path / name).write_bytes(npy("(3,)", data=12))
    found = problem(tmp_path, numpy={"x": "p.npz", "y": "p.npz"})
    assert (found.got, found.expected) == ("an archive of x for the column `x`", "a .npy file, of one array")
    assert problem(tmp_path, numpy={"x": "d", "y": "d/y.npy"}).got == "2 files for the column `x`"
    with pytest.raises(ValidationError, match="at least 1 item"):
        Source.model_validate({"numpy": {}})


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("a.csv.gz", "csv", gzip.compress(b"x\n" + bytes(range(256)) * 99)[:-200] + bytes(100)),
        ("a.csv.gz", "csv", b"\x1f\x8b\x08\x00" + bytes(6) + b"nonsense of no meaning"),
        ("a.jsonl", "json", b"[" * 100_000),
        ("a.jsonl", "json", b'{"a": ' * 100_000),
        ("a.npy", "numpy", b"\x93NUMPY\x01\x00\x04\x00[1]\n"),
        ("a.npy", "numpy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': ('"),
        ("a.npy", "numpy", b"\x93NUMPY\x01\x00\x1f\x00{'shape': ('a',), 'descr': '<f4'}"),
        ("a.npz", "numpy", b"PK\x03\x04" + bytes(40)),
        ("a.parquet", "parquet", b"PAR1 and nonsense PAR1"),
        ("a.txt.gz", "text", b"no gzip"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    found = problem(tmp_path, **{kind: name})
    assert found.file == name
    assert found.got


def test_a_csv_field_may_be_of_any_size(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("x,y\n" + "v" * 200_000 + ",1\n")
    assert facts(tmp_path, csv="a.csv") == (1, ("x", "y"))
    assert csv.field_size_limit() == before


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n')
    assert facts(tmp_path, json="a.jsonl") == (2, ("a",))
