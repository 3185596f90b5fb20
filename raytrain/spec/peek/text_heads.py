"""What the client reads of csv, JSON lines and text: columns, rows, and the line of what is wrong."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.file_errors import reading
from raytrain.spec.peek.named_files import shown_path

_WORDS = {bool: "true or false", int: "numbers", float: "numbers", str: "text", list: "lists", dict: "maps"}


def csv_header(file: Path, folder: Path) -> tuple[str, ...]:
    with _open_csv(file, folder) as rows:
        header = next((row for row in rows if row), None)
    shown = shown_path(file, folder)
    if header is None:
        raise SpecError(Problem(got="an empty file", expected="a header line and rows", file=shown))
    if "" in header:
        got = f"a header whose column {header.index('') + 1} of {len(header)} has no name"
        raise SpecError(Problem(got=got, expected="a name for each column", file=shown, line=1))
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise SpecError(
            Problem(got=f"the column `{twice[0]}` twice", expected="each column name once", file=shown, line=1)
        )
    return tuple(header)


def count_csv_rows(file: Path, width: int, folder: Path) -> int:
    """Rows after the header; blank lines do not count, line breaks within quotes make no row."""
    with _open_csv(file, folder) as reader:
        rows = -1
        for row in reader:
            if not row:
                continue
            rows += 1
            if len(row) != width:
                raise SpecError(
                    Problem(
                        got=f"a row of {len(row)} values",
                        expected=f"{width}, one for each column of the header",
                        file=shown_path(file, folder),
                        line=reader.line_num,
                    )
                )
    return rows


def json_columns(file: Path, folder: Path) -> tuple[str, ...]:
    """The columns of the first row."""
    row = next((row for _, row in _json_rows(file, folder)), None)
    if row is None:
        raise SpecError(Problem(got="an empty file", expected="a row on each line", file=shown_path(file, folder)))
    return tuple(row)


def count_json_rows(file: Path, columns: tuple[str, ...], kinds: dict[str, str], folder: Path) -> int:
    """The rows of a file, each of which has the columns and one kind of value in each.

    Args:
        kinds: in words, what each column was found to hold; added to.
    """
    rows = 0
    shown = shown_path(file, folder)
    for line, row in _json_rows(file, folder):
        rows += 1
        missing = [name for name in columns if name not in row]
        if missing:
            fix = "give every row the same columns, null where there is nothing"
            got, expected = f"a row without `{missing[0]}`", ", ".join(columns)
            raise SpecError(Problem(got=got, expected=expected, fix=fix, file=shown, line=line))
        for name, value in row.items():
            if value is None:
                continue
            kind = _WORDS[type(value)]
            if kinds.setdefault(name, kind) != kind:
                expected = f"{kinds[name]}, as in the rows before it"
                got = f"{kind} in column `{name}`"
                raise SpecError(Problem(got=got, expected=expected, file=shown, line=line))
    return rows


def count_lines(file: Path, folder: Path) -> int:
    with _open_text(file, folder, "a text file") as text:
        return sum(1 for _ in text)


def _json_rows(file: Path, folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their lines; all rows of a list have line 0."""
    with _open_text(file, folder, "a JSON file") as text:
        start = text.read(1)
        text.seek(0)
        if start == "[":
            rows: Iterator[tuple[int, Any]] = ((0, row) for row in json.load(text))
        else:
            rows = (
                (number, _parsed(line, number, file, folder)) for number, line in enumerate(text, 1) if line.strip()
            )
        for number, row in rows:
            if not isinstance(row, dict):
                got = "a value that is no row" if not isinstance(row, list) else "a list"
                shown = shown_path(file, folder)
                raise SpecError(Problem(got=got, expected='a row such as {"x": 1}', file=shown, line=number))
            yield number, row


def _parsed(line: str, number: int, file: Path, folder: Path) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        shown = shown_path(file, folder)
        raise SpecError(Problem(got=str(error), expected="a row of JSON", file=shown, line=number)) from None


@contextlib.contextmanager
def _open_csv(file: Path, folder: Path) -> Iterator[Any]:
    before = csv.field_size_limit(sys.maxsize)  # Arrow, which reads the rows on the cluster, has no limit
    try:
        with _open_text(file, folder, "a csv file") as text:
            yield csv.reader(text)
    finally:
        csv.field_size_limit(before)


@contextlib.contextmanager
def _open_text(file: Path, folder: Path, expected: str) -> Iterator[TextIO]:
    opener: Any = gzip.open if file.suffix == ".gz" else Path.open
    with (
        reading(shown_path(file, folder), f"{expected} in UTF-8"),
        opener(file, "rt", encoding="utf-8-sig", newline="") as text,
    ):
        yield text
