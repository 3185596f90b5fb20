"""The header of a csv file: its columns, and the line on which the rows begin; and how many rows follow.

Nothing else in client or cluster decides which line names the columns: Arrow, which reads the rows, is told. A `stream`
is a file from its beginning, unpacked, `shown` its name as the user knows it, `form` how the spec says it is written;
whatever is refused is a SpecError.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.csv_source import CsvSource
from raytrain.spec.peek.csv_text import plain_text
from raytrain.spec.peek.text_lines import decoded

ROW_NUMBERS = "Unnamed: 0"
"""The column that pandas writes without a name, by the name that it has when pandas reads it."""

_PLAIN = CsvSource(path="")
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n?')
_OTHERS = {";": ";", "\t": "\\t", "|": "|"}
_FRACTION = re.compile(r"\s*[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?\s*")
_LOOKED_AT = 1000


@dataclass(frozen=True, kw_only=True)
class CsvHeader:
    """What precedes the rows.

    Attributes:
        columns: their names.
        lines: how many lines of the file stand above the rows; blank ones and those within quotes count.
        alone: whether nothing follows, not even an empty line.
        separator: between values.
    """

    columns: tuple[str, ...]
    lines: int
    alone: bool
    separator: str


def read_csv_header(stream: BinaryIO, shown: str, form: CsvSource = _PLAIN) -> CsvHeader:
    """The header of a file, which has a name for each column but for the first, whose cells may number the rows."""
    with _decoded(stream, shown, form) as text:
        rows = _Rows(text, form)
        columns = _columns(rows, shown, form)
        has_own = form.header is True
        return CsvHeader(
            columns=columns,
            lines=rows.line if has_own else rows.above,
            alone=has_own and not text.read(1),
            separator=rows.separator,
        )


def count_csv_rows(stream: BinaryIO, shown: str, form: CsvSource = _PLAIN) -> int:
    """Rows after the header, of as many values; blank lines do not count, line breaks within quotes make no row."""
    before = csv.field_size_limit(sys.maxsize)  # Arrow, which reads the rows on the cluster, has no limit
    try:
        with _decoded(stream, shown, form) as text:
            rows = _Rows(text, form)
            width, count = len(_columns(rows, shown, form)), 0
            for row in rows.below_header():
                count += 1
                if len(row) != width:
                    got, expected = f"a row of {len(row)} values", f"{width}, one for each column of the header"
                    raise SpecError(Problem(got=got, expected=expected, file=shown, line=rows.line))
            return count
    finally:
        csv.field_size_limit(before)


def numbers_rows(stream: BinaryIO, shown: str, form: CsvSource = _PLAIN) -> bool:
    """Whether the first column holds a whole number in each row, none of them twice, as far as the beginning tells."""
    with _decoded(stream, shown, form) as text:
        rows = _Rows(text, form)
        _columns(rows, shown, form)
        cells = [row[0].strip() for row in islice(rows.below_header(), _LOOKED_AT)]
        return all(cell.isdecimal() for cell in cells) and len(set(cells)) == len(cells)


class _Rows:
    """The rows of a file, blank ones left out.

    Attributes:
        first: the first of them; none in an empty file.
        text: the line that it begins on.
        above: how many lines stand above it that are neither header nor rows.
    """

    def __init__(self, text: Any, form: CsvSource) -> None:
        self._form = form
        self.above, self.text = self._first_line(text)
        named = _SEPARATOR_LINE.fullmatch(self.text)
        self.separator = form.separator or (named[1] if named else ",")
        if named:
            self.above, self.text = self._first_line(text, self.above + 1)
        self._rows = csv.reader(chain([self.text], text), delimiter=self.separator, quotechar=form.quote)
        self.first: list[str] = next(filter(None, self._rows), [])

    @property
    def line(self) -> int:
        """The last line of the row that was read last."""
        return self.above + self._rows.line_num

    def below_header(self) -> Iterator[list[str]]:
        rows = filter(None, self._rows)
        return rows if self._form.header is True else chain([self.first] if self.first else [], rows)

    @staticmethod
    def _first_line(text: Any, above: int = 0) -> tuple[int, str]:
        for line in text:
            if line.strip():
                return above, line
            above += 1
        return above, ""


def _decoded(stream: BinaryIO, shown: str, form: CsvSource) -> Any:
    return decoded(plain_text(stream, form), shown, "a csv file", newline="")


def _columns(rows: _Rows, shown: str, form: CsvSource) -> tuple[str, ...]:
    """The names in the first row, or those that the spec has for a file without a header."""
    first, line = rows.first, rows.line if rows.first else 0
    if not first:
        raise SpecError(Problem(got="an empty file", expected="a header line and rows", file=shown, line=line))
    if len(first) == 1 and form.separator is None and (other := _other_separator(rows.text, form)):
        got = f"one column, `{first[0]}`, where `{other}` separates values"
        fix = f'csv: {{path: …, separator: "{other}"}}, with decimal: "," beside it where numbers look like 1,5'
        raise SpecError(Problem(got=got, expected="values with `,` between them", fix=fix, file=shown, line=line))
    if isinstance(form.header, list):
        if len(form.header) != len(first):
            got, expected = f"a first row of {len(first)} values", f"{len(form.header)}, one for each name in header"
            raise SpecError(Problem(got=got, expected=expected, file=shown, line=line))
        return tuple(form.header)
    if form.header is False:
        return tuple(map(str, range(len(first))))
    return _checked([first[0] or ROW_NUMBERS, *first[1:]], shown, line)


def _checked(columns: list[str], shown: str, line: int) -> tuple[str, ...]:
    without = "if the file has no header, csv: {path: …, header: [NAME, …]}"
    number = next((name for name in columns if _FRACTION.fullmatch(name)), None)
    if "" in columns:
        got = f"a header whose column {columns.index('') + 1} of {len(columns)} has no name"
        problem = Problem(got=got, expected="a name for each column", fix="does every line end with a separator?")
    elif number is not None:
        got = f"the number {number} for the name of column {columns.index(number) + 1}"
        problem = Problem(got=got, expected="a name for each column", fix=f"{without}; where it has one, skip: 1, too")
    elif len(set(columns)) < len(columns):
        got = f"the column `{next(name for name in columns if columns.count(name) > 1)}` twice"
        problem = Problem(got=got, expected="each column name once", fix=without)
    else:
        return tuple(columns)
    raise SpecError(Problem(got=problem.got, expected=problem.expected, fix=problem.fix, file=shown, line=line))


def _other_separator(line: str, form: CsvSource) -> str:
    """What separates values in a line that has no comma outside of quotes; as YAML has it in double quotes."""
    bare = re.sub(f"{re.escape(form.quote)}[^{re.escape(form.quote)}]*{re.escape(form.quote)}", "", line)
    return next((shown for mark, shown in _OTHERS.items() if mark in bare.strip("\r\n ")), "")
