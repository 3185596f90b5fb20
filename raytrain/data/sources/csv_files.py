"""Decodes csv files: a header, which `raytrain.spec.peek.csv_header` reads, then rows, which Arrow does.

Runs in: Ray Data tasks; headers are read in the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv

from raytrain.data.sources.file_reading import read_head
from raytrain.data.sources.grouped_digits import GroupedDigits
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.csv_source import CsvSource
from raytrain.spec.file_errors import reason_of
from raytrain.spec.peek.csv_header import CsvHeader, count_csv_rows, read_csv_header
from raytrain.spec.peek.csv_text import plain_text

# Arrow takes a column's type from the first block of a file; left alone, its blocks are of 1 MB.
_ROWS_BYTES, _START_BYTES = 64 << 20, 1 << 20


@dataclass(frozen=True, kw_only=True)
class DecodeCsv:
    """The rows of a file.

    Attributes:
        form: how the spec says that it is written.
        fractions: columns that are of fractions, whatever the first block of a file looks like.
    """

    form: CsvSource
    fractions: frozenset[str] = frozenset()

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        header = _header(filesystem, path, self.form)
        if header.alone:
            yield pa.schema([(name, pa.null()) for name in header.columns]).empty_table()
            return
        try:
            with filesystem.open_input_stream(path) as stream, plain_text(stream, self.form) as text:
                reader = _open(text, header, self.form, _ROWS_BYTES, self.fractions)
                tables = _tables(reader)
                yield from tables if self.form.thousands is None else GroupedDigits(self.form).of(tables)
        except pa.ArrowInvalid as error:
            raise _explained(error, filesystem, path, self.form) from error


def csv_schema(form: CsvSource, filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    header = _header(filesystem, path, form)
    if header.alone or form.thousands is not None:
        return pa.schema([])
    with filesystem.open_input_stream(path) as stream, plain_text(stream, form) as text:
        return _open(text, header, form, _START_BYTES).schema


def _tables(reader: csv.CSVStreamingReader) -> Iterator[pa.Table]:
    """The reader's rows; without a row there is no batch, but a table."""
    yield pa.Table.from_batches([], schema=reader.schema)
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _header(filesystem: Any, path: str, form: CsvSource) -> CsvHeader:
    return read_head(partial(read_csv_header, form=form), filesystem, path, "csv")


def _open(
    text: Any, header: CsvHeader, form: CsvSource, block_bytes: int, fractions: frozenset[str] = frozenset()
) -> csv.CSVStreamingReader:
    """A reader of the rows below a header."""
    return csv.open_csv(
        text,
        read_options=csv.ReadOptions(
            use_threads=False, block_size=block_bytes, column_names=header.columns, skip_rows=header.lines
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True, delimiter=header.separator, quote_char=form.quote),
        convert_options=_conversion(form, fractions if form.thousands is None else frozenset()),
    )


def _conversion(form: CsvSource, fractions: frozenset[str]) -> csv.ConvertOptions:
    options = csv.ConvertOptions(column_types=dict.fromkeys(fractions, pa.float64()), decimal_point=form.decimal)
    if form.nulls is not None:
        options.null_values, options.strings_can_be_null = ["", *form.nulls], True
    return options


def _explained(error: Exception, filesystem: Any, path: str, form: CsvSource) -> Exception:
    """Of a column whose later cells are of another kind than its first, what can be done about it; else the line.

    Raises:
        SpecError: a row of too many or too few values, as the client says it.
    """
    if "CSV conversion error to int64" in str(error):
        expected = "cells like those in the first 64 MiB of the file, which are whole numbers"
        fix = "if the column is of fractions, data.columns: {COLUMN: {dtype: float32}}"
        return UserCodeError(Problem(file=path, got=reason_of(error), expected=expected, fix=fix))
    read_head(partial(count_csv_rows, form=form), filesystem, path, "csv")
    return error
