import gzip
from pathlib import Path
from typing import Any

import pytest

from raytrain.errors import Problem, SpecError
from raytrain.spec.source import Source
from raytrain.spec.sources import SourceFacts, inspect_source, source_columns


def facts(folder: Path, **source: Any) -> tuple[int | None, tuple[str, ...] | None]:
    found = inspect_source(Source(**source), folder)
    assert source_columns(Source(**source), folder) == found.columns
    return found.rows, found.columns


def problem(folder: Path, **source: Any) -> Problem:
    with pytest.raises(SpecError) as caught:
        inspect_source(Source(**source), folder)
    return caught.value.problems[0]


def test_inline_rows_and_columns(tmp_path: Path) -> None:
    assert facts(tmp_path, inline=[{"a": 1, "b": 2}, {"b": 3, "a": None}]) == (2, ("a", "b"))
    assert facts(tmp_path, inline={"a": [1, 2, 3], "b": [1, 2, 3]}) == (3, ("a", "b"))
    assert problem(tmp_path, inline=[{"a": 1}, {"a": 1}, {"b": 1}]).got == "row 2 with b"
    assert "without rows" in problem(tmp_path, inline={"a": []}).got


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
    monkeypatch.setattr("raytrain.spec.sources.COUNT_UP_TO_BYTES", 3)
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
    assert "z, k" in problem(tmp_path, parquet="table").got


def test_what_is_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_text("a,b\n")
    assert (problem(tmp_path, parquet="t.parquet").file, problem(tmp_path, parquet="t.parquet").expected) == (
        "t.parquet",
        "a parquet file",
    )


def test_what_only_the_cluster_can_know(tmp_path: Path) -> None:
    for source in (Source(python="data.py:load"), Source(csv="s3://b/x.csv"), Source(parquet="/no/such/folder")):
        assert inspect_source(source, tmp_path) == SourceFacts(rows=None, columns=None)


def test_sklearn_sets(tmp_path: Path) -> None:
    rows, columns = facts(tmp_path, sklearn="digits")
    assert rows == 1797
    assert columns is not None
    assert columns[:5] == ("features", "target", "image", "digit", "pixel_0_0")
    assert len(columns) == 68
