"""Decodes csv files: a header line, then rows.

Runs in: Ray Data tasks; the header of the first file is read in the driver.
"""

from __future__ import annotations

import csv as text_csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import csv

_OPTIONS = {
    "parse_options": csv.ParseOptions(newlines_in_values=True),
    # Arrow takes a column's type from the first block of a file; left alone, its blocks are of 1 MB.
    "read_options": csv.ReadOptions(use_threads=False, block_size=64 << 20),
}


def decode_csv(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        reader = csv.open_csv(stream, **_OPTIONS)
        yield pa.Table.from_batches([], schema=reader.schema)  # a header alone makes no batch, and is a table
        for batch in reader:
            yield pa.Table.from_batches([batch])


def csv_columns(filesystem: Any, path: str) -> list[str]:
    with filesystem.open_input_stream(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        return next((row for row in text_csv.reader(text) if row), [])


def csv_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    with filesystem.open_input_stream(path) as stream:
        return csv.open_csv(stream, parse_options=_OPTIONS["parse_options"]).schema
