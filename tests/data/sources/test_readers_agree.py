"""Odd files given to the client, which looks at them, and to the cluster, which reads their rows: they say the same."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources import explain
from raytrain.data.sources.file_kinds import format_of, listing_of, size_of
from raytrain.data.sources.file_reading import FilesDatasource, _rows_of
from raytrain.data.sources.parquet_files import read_footers
from raytrain.errors import Problem, RaytrainError, SpecError
from raytrain.spec.peek.inspect_source import inspect_source
from raytrain.spec.source_kinds import Source
from tests.spec.peek.test_inspect_source import record

# Rows and columns of a file that is read, or what is got, and on which line, of one that is refused.
Said = tuple[int, tuple[str, ...] | None] | Problem


def at_the_client(source: Source, folder: Path) -> Said:
    try:
        facts = inspect_source(source, folder)
    except SpecError as error:
        return error.problems[0]
    assert facts.rows is not None
    return facts.rows, facts.columns


def on_the_cluster(source: Source, folder: Path) -> Said:
    """By the driver's look at the headers and then, in this process, by the work of a Ray Data task."""
    field = f"data.train.{source.kind}"
    try:
        listing = listing_of(source, folder, field)
        if source.parquet:
            footers = read_footers(listing)
            assert footers.size.rows is not None
            return sum(footers.size.rows), tuple(pa.parquet.read_schema(listing.paths[0]).names)
        form = format_of(source, listing, folder, field)
        known = size_of(listing, form).rows
        [task] = FilesDatasource(listing, _rows_of, form).get_read_tasks(1)
        tables: list[Any] = list(task())
    except RaytrainError as error:
        [problem] = explain(error, source, folder, "data.train").problems
        assert problem.field == field
        return replace(problem, field="")
    rows = sum(table.num_rows for table in tables)
    assert known is None or sum(known) == rows
    columns = next((tuple(table.column_names) for table in tables), None)
    return rows, form.columns if columns is None else columns


def tables_of(source: Source, folder: Path) -> list[pa.Table]:
    """The blocks of a source's files, by the work of Ray Data tasks."""
    listing = listing_of(source, folder, "data.train")
    form = format_of(source, listing, folder, "data.train")
    tasks = FilesDatasource(listing, _rows_of, form).get_read_tasks(len(listing.paths))
    return [table for task in tasks for table in task()]


def check(folder: Path, kind: str, name: str, content: bytes, expected: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    source = Source.model_validate({kind: name if "/" not in name else name.split("/")[0]})
    client, cluster = at_the_client(source, folder), on_the_cluster(source, folder)
    if isinstance(expected, tuple) and isinstance(expected[0], int):
        assert client == cluster == expected
        return
    got, line = expected if isinstance(expected, tuple) else (expected, 0)
    assert client == cluster
    assert isinstance(client, Problem)
    assert (got in client.got, client.file, client.line) == (True, name, line), client


AB = (1, ("a", "b"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"\r\n\n", "an empty file", id="blank"),
        pytest.param(b"a,b\n1,2", AB, id="no newline at the end"),
        pytest.param(b"a,b\n", (0, ("a", "b")), id="a header alone"),
        pytest.param(b"a,b", (0, ("a", "b")), id="a header alone without a newline"),
        pytest.param(b"\n\na,b\n\n1,2\n\n", AB, id="blank lines"),
        pytest.param(b"a,b\r\n1,2\r\n", AB, id="CRLF"),
        pytest.param(b"a,b\r1,2\r", AB, id="CR"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", AB, id="BOM"),
        pytest.param(b'\xef\xbb\xbf"a","b"\r\n1,2', AB, id="BOM, quotes and CRLF"),
        pytest.param(b'"a, ""x""",b\n1,2\n', (1, ('a, "x"', "b")), id="a quoted header"),
        pytest.param(b'"a\nx",b\n1,2\n3,4\n', (2, ("a\nx", "b")), id="a header of two lines"),
        pytest.param(b'a,b\n1,"x\ny"\n', AB, id="a row of two lines"),
        pytest.param(b'a,b\n1,"x', AB, id="torn within quotes"),
        pytest.param(b"a,b\n1,2\n3", ("a row of 1 values", 3), id="torn"),
        pytest.param(b'a,b\n"1\n1",2\n3,4,5\n', ("a row of 3 values", 4), id="a long row"),
        pytest.param(b",b\n1,2\n", (1, ("Unnamed: 0", "b")), id="row numbers without a name"),
        pytest.param(b"a,\n1,2\n", ("a header whose column 2 of 2 has no name", 1), id="a column without a name"),
        pytest.param(b"sep=;\r\na;b\r\n1;2\r\n", AB, id="a line that names the separator"),
        pytest.param(b"a;b\n1;2\n", ("one column, `a;b`, where `;` separates values", 1), id="semicolons"),
        pytest.param(b"a\tb\n1\t2\n", ("one column, `a\tb`, where `\\t` separates values", 1), id="tabs"),
        pytest.param(b'"a;b"\n1\n', (1, ("a;b",)), id="a quoted semicolon"),
        pytest.param(b"5.1,3.5,x\n4.9,3.0,y\n", ("the number 5.1 for the name of column 1", 1), id="no header"),
        pytest.param(b"\na,a\n1,2\n", ("the column `a` twice", 2), id="a column twice"),
        pytest.param(b"a,b\n\xe9,2\n", "can't decode byte 0xe9", id="no UTF-8"),
    ],
)
def test_csv(content: bytes, expected: Any, tmp_path: Path) -> None:
    check(tmp_path, "csv", "t.csv", content, expected)
    if not isinstance(expected, str):
        check(tmp_path, "csv", "t.csv.gz", gzip.compress(content), expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b" \r\n\n", "an empty file", id="blank"),
        pytest.param(b'{"a": 1, "b": 2}', AB, id="no newline at the end"),
        pytest.param(b'\r\n{"a": 1, "b": 2}\r\n\r\n', AB, id="CRLF and blank lines"),
        pytest.param(b'\xef\xbb\xbf{"a": 1, "b": 2}\n', AB, id="BOM"),
        pytest.param(b'{"a": 1}\n{"a": 1, "b"', ("Expecting ':' delimiter", 2), id="torn"),
        pytest.param(b'{"a"', ("Expecting ':' delimiter", 1), id="torn in the first row"),
        pytest.param(b'{"a": 1}\n\n3\n', ("a value that is no row", 3), id="a number"),
        pytest.param(b'{"a": 1}\n[1]\n', ("a list", 2), id="a list among rows"),
        pytest.param(b'{"a": "\xe9"}\n', "can't decode byte 0xe9", id="no UTF-8"),
        pytest.param(b'[{"a": 1}, 3]', "a value that is no row", id="a number in a list"),
        pytest.param(b'[{"a": 1}, ', "Expecting value", id="a torn list"),
        pytest.param(b"[" * 100_000, "recursion", id="too deep"),
    ],
)
def test_json(content: bytes, expected: Any, tmp_path: Path) -> None:
    check(tmp_path, "json", "t.jsonl", content, expected)


@pytest.mark.parametrize(
    "content",
    [
        b'[{"a": 1}]',
        b'\xef\xbb\xbf [{"a": 1}]',
        b'\n[\n{"a": 1}\n]\n',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'[{}, {"a": 1}]',
        b'{}\n{"a": 1}',
    ],
)
def test_json_that_arrow_does_not_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(content)
    rows = 2 if b"{}" in content else 1
    assert at_the_client(Source(json="t.json"), tmp_path) == (rows, ("a",))
    assert on_the_cluster(Source(json="t.json"), tmp_path) == (rows, ("a",))


LATE = [{"a": 0.5, "y": 1}] * 3 + [{"a": 1, "y": 0, "b": 2}] * 3
NESTED = [{"m": None, "y": 1}, {"m": {"a": 1, "n": {"c": "x"}}, "y": 0}, {"y": 0, "m": {"a": None}}]


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("rows", [LATE, LATE[::-1]], ids=["late", "gone"])
def test_json_keys_that_come_late_or_go_are_empty_cells(rows: Any, as_list: bool, tmp_path: Path) -> None:
    text = json.dumps(rows) if as_list else "\n".join(map(json.dumps, rows))
    (tmp_path / "t.jsonl").write_text(text)
    said = at_the_client(Source(json="t.jsonl"), tmp_path), on_the_cluster(Source(json="t.jsonl"), tmp_path)
    assert [(count, sorted(columns or ())) for count, columns in said] == [(6, ["a", "b", "y"])] * 2  # type: ignore[misc]
    [table] = tables_of(Source(json="t.jsonl"), tmp_path)
    assert table.column("b").to_pylist() == [row.get("b") for row in rows]


@pytest.mark.parametrize("as_list", [False, True])
def test_json_objects_within_rows_are_columns_by_their_path(as_list: bool, tmp_path: Path) -> None:
    text = json.dumps(NESTED) if as_list else "\n".join(map(json.dumps, NESTED))
    (tmp_path / "t.jsonl").write_text(text)
    facts = inspect_source(Source(json="t.jsonl"), tmp_path)
    [table] = tables_of(Source(json="t.jsonl"), tmp_path)
    assert set(facts.columns or ()) == set(table.column_names) == {"m.a", "m.n.c", "y"}
    assert table.column("m.a").to_pylist() == [None, 1, None]
    assert table.column("m.n.c").to_pylist() == [None, "x", None]


def test_a_json_column_that_a_file_lacks_is_there_and_empty(tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "1.jsonl").write_text('{"a": 1.5, "b": "x"}\n')
    tables = tables_of(Source(json="*.jsonl"), tmp_path)
    assert [sorted(table.column_names) for table in tables] == [["a", "b"]] * len(tables)
    assert join_tables(tables).to_pylist() == [{"a": 1.0, "b": None}, {"a": 1.5, "b": "x"}]


def test_an_empty_json_file_beside_others_has_no_rows(tmp_path: Path) -> None:
    for name, text in (("0", ""), ("1", '{"a": 1}\n'), ("2", "\n")):
        (tmp_path / f"{name}.jsonl").write_text(text)
    source = Source(json="*.jsonl")
    assert at_the_client(source, tmp_path) == on_the_cluster(source, tmp_path) == (1, ("a",))
    (tmp_path / "3.jsonl").write_text('{"a": "x"}\n')
    said = at_the_client(source, tmp_path)
    assert isinstance(said, Problem)
    assert (said.file, said.got) == ("3.jsonl", "text in column `a`")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"one\n\nthree", 3, id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbfone\r\ntwo\rthree\r\n", 3, id="BOM, CRLF and CR"),
        pytest.param(b"one\n\xe9\n", "can't decode byte 0xe9", id="no UTF-8"),
    ],
)
def test_text(content: bytes, expected: Any, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    client, cluster = (look(Source(text="t.txt"), tmp_path) for look in (at_the_client, on_the_cluster))
    if isinstance(expected, int):
        assert (client, cluster) == ((expected, ("text",)), (expected, ("text",) if expected else ()))
    else:
        check(tmp_path, "text", "t.txt", content, expected)


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)
CUT = "23 bytes of data where the header tells of 24"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "expected 8 bytes got 0", id="empty"),
        pytest.param(b"no numbers", "the magic string is not correct", id="nonsense"),
        pytest.param(npy(ROWS), (3, ("data",)), id="version 1"),
        pytest.param(npy(ROWS, (2, 0)), (3, ("data",)), id="version 2"),
        pytest.param(npy(ROWS, (3, 0)), (3, ("data",)), id="version 3"),
        pytest.param(npy(np.asfortranarray(ROWS)), (3, ("data",)), id="Fortran order"),
        pytest.param(npy(ROWS.astype(">f4")), (3, ("data",)), id="the other byte order"),
        pytest.param(npy(ROWS[:0]), (0, ("data",)), id="no rows"),
        pytest.param(npy(np.array(["a", "bc"])), (2, ("data",)), id="text"),
        pytest.param(npy(ROWS)[:-1], CUT, id="torn"),
        pytest.param(npy(np.asfortranarray(ROWS), (2, 0))[:-1], CUT, id="torn, in Fortran order"),
        pytest.param(npy(ROWS)[:40], "expected 118 bytes got 30", id="torn in the header"),
        pytest.param(b"\x93NUMPY\x01\x00\x0c\x00{'descr': ('", "EOF in multi-line statement", id="half a header"),
        pytest.param(npy(ROWS)[:9], "expected 2 bytes got 1", id="torn before the header"),
        pytest.param(npy(1.0), "a single value", id="a single value"),
        pytest.param(npy(np.array([{}, 1])), "Python objects", id="objects"),
        pytest.param(npy(np.zeros(2, [("a", "O")])), "Python objects", id="objects within"),
        pytest.param(npz(**{"x.npy": npy(ROWS), "y": npy(ROWS[:, 0])}), (3, ("x", "y")), id="an archive"),
        pytest.param(npz(**{"x.npy": npy(ROWS), "README": b"what is x"}), "the magic string", id="a member of text"),
        pytest.param(npz(x=npy(ROWS), y=npy(ROWS[1:])), "different numbers of rows, x: 3, y: 2", id="uneven"),
        pytest.param(npz(x=npy(ROWS))[:-9], "File is not a zip file", id="a torn archive"),
    ],
)
def test_numpy(content: bytes, expected: Any, tmp_path: Path) -> None:
    check(tmp_path, "numpy", "t.npy", content, expected)


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (np.zeros((3, 3), np.float32), "rows of shape (3,) and type float32 in `data`"),
        (np.zeros((3, 2)), "rows of shape (2,) and type float64 in `data`"),
    ],
)
def test_numpy_files_of_other_rows(other: Any, got: str, tmp_path: Path) -> None:
    (tmp_path / "0.npy").write_bytes(npy(ROWS))
    (tmp_path / "1.npy").write_bytes(npy(other))
    for said in (at_the_client(Source(numpy="*.npy"), tmp_path), on_the_cluster(Source(numpy="*.npy"), tmp_path)):
        assert isinstance(said, Problem)
        assert (said.file, said.got) == ("1.npy", got)
        assert said.expected.startswith("(2,) and float32, as in ")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (npz(x=npy(ROWS)), "an archive of x for the column `b`"),
        (npy(ROWS[:2]), "different numbers of rows, a: 3, b: 2"),
        (npy(ROWS)[:-1], CUT),
    ],
)
def test_numpy_columns(content: bytes, got: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(ROWS))
    (tmp_path / "b.npy").write_bytes(content)
    source = Source(numpy={"a": "a.npy", "b": "b.npy"})
    client, cluster = at_the_client(source, tmp_path), on_the_cluster(source, tmp_path)
    assert isinstance(client, Problem)
    assert isinstance(cluster, Problem)
    assert (client.got, client.expected) == (cluster.got, cluster.expected)
    assert got in client.got


TWO = record(b"") + record(b"\x0a\x00")  # of no features and of an empty map of them


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(TWO[:-1], "the end of the file within record 2", id="torn in the last checksum"),
        pytest.param(TWO[:17], "the end of the file within record 2", id="torn in a length"),
        pytest.param(TWO[:29], "the end of the file within record 2", id="torn in data"),
        pytest.param(b"\x01" + TWO[1:], "record 1 with a wrong checksum of its length", id="a wrong length"),
        pytest.param(TWO[:28] + b"\x0b" + TWO[29:], "record 2 with a wrong checksum", id="wrong data"),
    ],
)
def test_tfrecords(content: bytes, expected: Any, tmp_path: Path) -> None:
    if expected == 0:
        (tmp_path / "t.tfrecord").write_bytes(content)
        assert at_the_client(Source(tfrecords="t.tfrecord"), tmp_path) == (0, None)
        assert on_the_cluster(Source(tfrecords="t.tfrecord"), tmp_path) == (0, ())
    else:
        check(tmp_path, "tfrecords", "t.tfrecord", content, expected)


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "Parquet file size is 0 bytes", id="empty"),
        pytest.param(parquet({"a": [1], "b": [2]}), AB, id="whole"),
        pytest.param(parquet({"a": [1], "b": [2]})[:-20], "Parquet magic bytes not found", id="torn"),
    ],
)
def test_parquet(content: bytes, expected: Any, tmp_path: Path) -> None:
    check(tmp_path, "parquet", "t.parquet", content, expected)


def png() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (4, 3)).save(sink, "PNG")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(png(), (1, ("image", "path")), id="whole"),
        pytest.param(b"", "no image", id="empty"),
        pytest.param(b"no image", "no image", id="nonsense"),
    ],
)
def test_images(content: bytes, expected: Any, tmp_path: Path) -> None:
    check(tmp_path, "images", "cat/1.png", content, expected)


def test_images_turned_by_their_exif_data_have_the_size_that_the_client_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "cat/1.png", exif=exif)
    for turned, size in ((False, (3, 4, 3)), (True, (4, 3, 3))):
        source = Source.model_validate({"images": {"path": ".", "exif_transpose": turned}})
        assert inspect_source(source, tmp_path).rows == 1
        [table] = tables_of(source, tmp_path)
        assert tuple(table.schema.field("image").type.shape) == size
