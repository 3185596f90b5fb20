"""Decodes csv files: a header line, then rows.

Runs in: Ray Data tasks; the header of the first file is read in the driver.
"""

from __future__ import annotations

import csv as text_csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.file_errors import reason_of

_PARSE = csv.ParseOptions(newlines_in_values=True)
# Arrow takes a column's type from the first block of a file; left alone, its blocks are of 1 MB.
_READ = csv.ReadOptions(use_threads=False, block_size=64 << 20)


@dataclass(frozen=True)
class DecodeCsv:
    """The rows of a file.

    Attributes:
        fractions: columns that are of fractions, whatever the first block of a file looks like.
    """

    fractions: frozenset[str] = frozenset()

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        convert = csv.ConvertOptions(column_types=dict.fromkeys(self.fractions, pa.float64()))
        with filesystem.open_input_stream(path) as stream:
            reader = csv.open_csv(stream, parse_options=_PARSE, read_options=_READ, convert_options=convert)
            yield pa.Table.from_batches([], schema=reader.schema)  # a header alone makes no batch, and is a table
            try:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
            except pa.ArrowInvalid as error:
                raise _explained(error, path) from error


def _explained(error: Exception, path: str) -> Exception:
    """Of a column whose later cells are of another kind than its first, what can be done about it."""
    if "CSV conversion error to int64" not in str(error):
        return error
    expected = "cells like those in the first 64 MiB of the file, which are whole numbers"
    fix = "if the column is of fractions, data.columns: {COLUMN: {dtype: float32}}"
    return UserCodeError(Problem(file=path, got=reason_of(error), expected=expected, fix=fix))


def csv_columns(filesystem: Any, path: str) -> list[str]:
    with filesystem.open_input_stream(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        return next((row for row in text_csv.reader(text) if row), [])


def csv_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    with filesystem.open_input_stream(path) as stream:
        return csv.open_csv(stream, parse_options=_PARSE).schema
