"""The header of a csv file: its columns, and the line on which the rows begin; and how many rows follow.

Nothing else in client or cluster decides which line names the columns: Arrow, which reads the rows, is told. A `stream`
is a file from its beginning, unpacked, `shown` its name as the user knows it; whatever is refused is a SpecError.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from raytrain.errors import Problem, SpecError
from raytrain.spec.peek.text_lines import decoded


@dataclass(frozen=True, kw_only=True)
class CsvHeader:
    """What precedes the rows.

    Attributes:
        columns: their names.
        lines: how many lines of the file stand above the rows; blank ones and those within quotes count.
        alone: whether nothing follows, not even an empty line.
    """

    columns: tuple[str, ...]
    lines: int
    alone: bool


def read_csv_header(stream: BinaryIO, shown: str) -> CsvHeader:
    """The header of a file, which has a name for each column."""
    with decoded(stream, shown, "a csv file", newline="") as text:
        rows = csv.reader(text)
        columns = _columns(rows, shown)
        return CsvHeader(columns=columns, lines=rows.line_num, alone=not text.read(1))


def count_csv_rows(stream: BinaryIO, shown: str) -> int:
    """Rows after the header, of as many values; blank lines do not count, line breaks within quotes make no row."""
    before = csv.field_size_limit(sys.maxsize)  # Arrow, which reads the rows on the cluster, has no limit
    try:
        with decoded(stream, shown, "a csv file", newline="") as text:
            rows = csv.reader(text)
            width, count = len(_columns(rows, shown)), 0
            for row in filter(None, rows):
                count += 1
                if len(row) != width:
                    got, expected = f"a row of {len(row)} values", f"{width}, one for each column of the header"
                    raise SpecError(Problem(got=got, expected=expected, file=shown, line=rows.line_num))
            return count
    finally:
        csv.field_size_limit(before)


def _columns(rows: Any, shown: str) -> tuple[str, ...]:
    """The names in the first row of a `csv.reader` that is not blank."""
    columns: list[str] = next(filter(None, rows), [])
    line = rows.line_num if columns else 0
    if not columns:
        got, expected = "an empty file", "a header line and rows"
    elif "" in columns:
        got = f"a header whose column {columns.index('') + 1} of {len(columns)} has no name"
        expected = "a name for each column"
    elif len(set(columns)) < len(columns):
        got = f"the column `{next(name for name in columns if columns.count(name) > 1)}` twice"
        expected = "each column name once"
    else:
        return tuple(columns)
    raise SpecError(Problem(got=got, expected=expected, file=shown, line=line))
