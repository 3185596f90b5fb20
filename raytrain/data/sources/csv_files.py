"""Decodes csv files: a header, which `raytrain.spec.peek.csv_header` reads, then rows, which Arrow does.

Runs in: Ray Data tasks; headers are read in the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv

from raytrain.data.sources.file_reading import read_head
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.file_errors import reason_of
from raytrain.spec.peek.csv_header import CsvHeader, count_csv_rows, read_csv_header

_PARSE = csv.ParseOptions(newlines_in_values=True)
# Arrow takes a column's type from the first block of a file; left alone, its blocks are of 1 MB.
_ROWS_BYTES, _START_BYTES = 64 << 20, 1 << 20


@dataclass(frozen=True)
class DecodeCsv:
    """The rows of a file.

    Attributes:
        fractions: columns that are of fractions, whatever the first block of a file looks like.
    """

    fractions: frozenset[str] = frozenset()

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        header = read_head(read_csv_header, filesystem, path, "csv")
        if header.alone:
            yield pa.schema([(name, pa.null()) for name in header.columns]).empty_table()
            return
        try:
            with filesystem.open_input_stream(path) as stream:
                reader = _open(stream, header, _ROWS_BYTES, self.fractions)
                yield pa.Table.from_batches([], schema=reader.schema)  # without a row there is no batch, but a table
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        except pa.ArrowInvalid as error:
            raise _explained(error, filesystem, path) from error


def csv_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    header = read_head(read_csv_header, filesystem, path, "csv")
    if header.alone:
        return pa.schema([])
    with filesystem.open_input_stream(path) as stream:
        return _open(stream, header, _START_BYTES).schema


def _open(
    stream: Any, header: CsvHeader, block_bytes: int, fractions: frozenset[str] = frozenset()
) -> csv.CSVStreamingReader:
    """A reader of the rows below a header."""
    read = csv.ReadOptions(
        use_threads=False, block_size=block_bytes, column_names=header.columns, skip_rows=header.lines
    )
    convert = csv.ConvertOptions(column_types=dict.fromkeys(fractions, pa.float64()))
    return csv.open_csv(stream, parse_options=_PARSE, read_options=read, convert_options=convert)


def _explained(error: Exception, filesystem: Any, path: str) -> Exception:
    """Of a column whose later cells are of another kind than its first, what can be done about it; else the line.

    Raises:
        SpecError: a row of too many or too few values, as the client says it.
    """
    if "CSV conversion error to int64" in str(error):
        expected = "cells like those in the first 64 MiB of the file, which are whole numbers"
        fix = "if the column is of fractions, data.columns: {COLUMN: {dtype: float32}}"
        return UserCodeError(Problem(file=path, got=reason_of(error), expected=expected, fix=fix))
    read_head(count_csv_rows, filesystem, path, "csv")
    return error
