"""Csv as people write it: what the spec says of a file, held against what pandas reads with the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raytrain.data.columns.logical_columns import join_tables
from raytrain.errors import Problem, SpecError
from raytrain.spec.load import load_job
from raytrain.spec.peek.inspect_source import inspect_source
from raytrain.spec.source_kinds import Source
from tests.data.sources.test_readers_agree import at_the_client, on_the_cluster, tables_of


def read(folder: Path, content: bytes | str, **form: Any) -> pd.DataFrame:
    """The rows as Ray Data's tasks read them; the client counts as many and knows the same columns."""
    (folder / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    source = Source.model_validate({"csv": {"path": "t.csv"} | form})
    table = join_tables(tables_of(source, folder))
    facts = inspect_source(source, folder)
    assert (facts.rows, facts.columns) == (table.num_rows, tuple(table.column_names))
    frame: pd.DataFrame = table.to_pandas()
    return frame


GERMAN = "temp;druck;ort\n0,5;-1,25;Köln\n1,5;2,0;Ulm\n"
ROWS = {"temp": [0.5, 1.5], "druck": [-1.25, 2.0], "ort": ["Köln", "Ulm"]}


@pytest.mark.parametrize(
    ("content", "form"),
    [
        pytest.param(GERMAN, {"separator": ";", "decimal": ","}, id="semicolons and decimal commas"),
        pytest.param(GERMAN.replace(";", "\t"), {"separator": "\t", "decimal": ","}, id="tabs"),
        pytest.param(GERMAN.replace(";", "|"), {"separator": "|", "decimal": ","}, id="pipes"),
        pytest.param("sep=;\r\n" + GERMAN, {"decimal": ","}, id="a line that names the separator"),
        pytest.param(GERMAN.encode("latin-1"), {"separator": ";", "decimal": ",", "encoding": "latin-1"}, id="latin-1"),
        pytest.param(GERMAN.encode("utf-16"), {"separator": ";", "decimal": ",", "encoding": "utf-16"}, id="utf-16"),
        pytest.param(GERMAN.encode("cp1252"), {"separator": ";", "decimal": ",", "encoding": "cp1252"}, id="cp1252"),
        pytest.param("# a\n" + GERMAN + "# b\n", {"separator": ";", "decimal": ",", "comment": "#"}, id="comments"),
        pytest.param("a\n\nb;\n" + GERMAN, {"separator": ";", "decimal": ",", "skip": 3}, id="skipped lines"),
        pytest.param(
            GERMAN.partition("\n")[2],
            {"separator": ";", "decimal": ",", "header": ["temp", "druck", "ort"]},
            id="no header",
        ),
        pytest.param(
            'temp,druck,ort\n"0,5","-1,25","Köln"\n"1,5","2,0","Ulm"\n', {"decimal": ","}, id="quoted decimal commas"
        ),
        pytest.param("temp,druck,ort\n.5,-1.25,'Köln'\n1.5,2,'Ulm'\n", {"quote": "'"}, id="other quotes"),
    ],
)
def test_the_same_rows_however_they_are_written(content: Any, form: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path, content, **form).to_dict("list") == ROWS


def test_columns_of_a_file_without_a_header_are_numbered(tmp_path: Path) -> None:
    assert read(tmp_path, "5.1,a\n4.9,b\n", header=False).to_dict("list") == {"0": [5.1, 4.9], "1": ["a", "b"]}


def test_own_words_for_an_empty_cell(tmp_path: Path) -> None:
    frame = read(tmp_path, "a,b\n1,x\n?,-\n3,NA\n", nulls=["?", "-"])
    assert frame["a"].isna().tolist() == [False, True, False]
    assert frame["b"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a;b;c\n1.234,5;1.234.567;x.y\n12;5;z\n", {"separator": ";", "decimal": ",", "thousands": "."}),
        ('a;b;c\n"1,234.5";"1,234,567";x.y\n12;5;z\n', {"separator": ";", "thousands": ","}),
        ("a;b;c\n1'234.5;1'234'567;x.y\n12;5;z\n", {"separator": ";", "thousands": "'"}),
    ],
)
def test_grouped_digits(text: str, form: dict[str, Any], tmp_path: Path) -> None:
    frame = read(tmp_path, text, **form)
    assert frame.to_dict("list") == {"a": [1234.5, 12.0], "b": [1234567, 5], "c": ["x.y", "z"]}


def test_a_wrong_row_is_named_by_its_line_below_comments_and_skipped_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("skipped\n# note\na,b\n1,2\n# note\n3\n")
    source = Source.model_validate({"csv": {"path": "t.csv", "skip": 1, "comment": "#"}})
    for said in (at_the_client(source, tmp_path), on_the_cluster(source, tmp_path)):
        assert isinstance(said, Problem)
        assert (said.got, said.file, said.line) == ("a row of 1 values", "t.csv", 6)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"separator": "\\t"}, r"expected one character.*in double quotes"),
        ({"encoding": "klingon"}, "an encoding that Python knows"),
        ({"decimal": ",", "thousands": ","}, "another mark than decimal's"),
        ({"header": ["a", "a"]}, "each column's name once"),
        ({"delimiter": ";"}, "the unknown key `delimiter`.*separator"),
    ],
)
def test_what_cannot_be_said_of_a_csv_file(form: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    job(tmp_path, {"path": "t.csv"} | form)
    with pytest.raises(SpecError, match=said):
        load_job(str(tmp_path))


def job(folder: Path, csv: Any, **data: Any) -> None:
    import json

    spec = {
        "model": {"layers": [{"Dense": {"units": 1}}]},
        "compile": {"loss": "mse"},
        "data": {"train": {"csv": csv}, "label": "b"} | data,
    }
    (folder / "job.yaml").write_text(json.dumps(spec))


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize("numbers", [[0, 1, 2], [7, 3, 5]])
def test_row_numbers_are_no_feature_unless_they_are_named(name: str, numbers: list[int], tmp_path: Path) -> None:
    lines = "".join(f"{number},0.5,{number % 2}\n" for number in numbers)
    (tmp_path / "t.csv").write_text(f"{name},a,b\n{lines}")
    job(tmp_path, "t.csv")
    assert load_job(str(tmp_path)).spec.data.features == ["a"]
    job(tmp_path, "t.csv", features=["Unnamed: 0", "a"])
    assert load_job(str(tmp_path)).spec.data.features == ["Unnamed: 0", "a"]


def test_a_first_column_without_a_name_that_numbers_no_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a,b\n0.5,1,2\n1.5,3,4\n")
    job(tmp_path, "t.csv")
    with pytest.raises(SpecError, match=r"column 1 of 3, `Unnamed: 0`, which does not number the rows"):
        load_job(str(tmp_path))
