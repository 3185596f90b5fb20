"""Numbers whose digits are grouped, such as 1.234,5, which Arrow takes for text.

Runs in: Ray Data tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from raytrain.spec.csv_source import CsvSource


class GroupedDigits:
    """Columns of text that hold such numbers alone become numbers, as the first rows of a file tell."""

    def __init__(self, form: CsvSource) -> None:
        assert form.thousands is not None
        mark, point = re.escape(form.thousands), re.escape(form.decimal)
        self._form = form
        self._number = rf"^\s*[+-]?([0-9]{{1,3}}({mark}[0-9]{{3}})+|[0-9]+)({point}[0-9]+)?\s*$"
        self._kinds: dict[str, pa.DataType] | None = None

    def of(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The tables of one file with numbers in the place of such text.

        Raises:
            pa.ArrowInvalid: a later cell is no such number.
        """
        for table in tables:
            if not table.num_rows:
                continue
            if self._kinds is None:
                self._kinds = {name: kind for name in table.column_names if (kind := self._kind(table.column(name)))}
            for name, kind in self._kinds.items():
                index = table.column_names.index(name)
                table = table.set_column(index, name, self._plain(table.column(name)).cast(kind))
            yield table

    def _kind(self, column: pa.ChunkedArray) -> pa.DataType | None:
        if not types.is_string(column.type):
            return None
        filled = column.filter(pc.not_equal(column, ""))
        if not len(filled) or not pc.all(pc.match_substring_regex(filled, self._number)).as_py():
            return None
        has_point = pc.any(pc.match_substring(filled, self._form.decimal)).as_py()
        return pa.float64() if has_point else pa.int64()

    def _plain(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if types.is_string(column.type):
            column = pc.utf8_trim_whitespace(pc.replace_substring(column, self._form.thousands, ""))
            column = pc.replace_substring(column, self._form.decimal, ".")
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        return column
