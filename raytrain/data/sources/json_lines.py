"""Decodes JSON files: a row on each line, which Arrow reads, or one list of rows.

Runs in: Ray Data tasks; the beginnings of files are read in the driver.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.types as types
from pyarrow import json

from raytrain.data.sources.file_reading import read_head
from raytrain.data.sources.listing import Listing
from raytrain.errors import SpecError
from raytrain.spec.peek.json_rows import count_json_rows, is_list, no_json_rows, read_json_rows

# Arrow needs a whole row within a block, and takes a column's type from all blocks.
_START_BYTES = 1 << 20
_OPTIONS = json.ReadOptions(use_threads=False, block_size=64 << 20)


def decode_json(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        content = stream.read().removeprefix(codecs.BOM_UTF8)
    if content.strip():
        yield _flat(_table(content, path))


def json_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    with filesystem.open_input_stream(path) as stream:
        start = stream.read(_START_BYTES)
    whole_rows = start if len(start) < _START_BYTES else start[: start.rfind(b"\n") + 1]
    whole_rows = whole_rows.removeprefix(codecs.BOM_UTF8)
    if not whole_rows.strip() or (is_list(whole_rows) and len(start) == _START_BYTES):
        return pa.schema([])
    try:
        return _flat(_table(whole_rows, path)).schema
    except SpecError:
        return pa.schema([])


def check_has_rows(listing: Listing) -> None:
    """Refuses a source all of whose files are empty.

    Raises:
        SpecError: it has no row.
    """
    for path in listing.paths:
        if read_head(_first_character, listing.filesystem, path, "json"):
            return
    raise no_json_rows(listing.paths[0])


def _first_character(stream: BinaryIO, path: str) -> bytes:
    while start := stream.read(_START_BYTES):
        if text := start.removeprefix(codecs.BOM_UTF8).strip():
            return text[:1]
    return b""


def _table(content: bytes, path: str) -> pa.Table:
    """The rows of a file, those of a list and those that hold NaN or infinities read by Python.

    Raises:
        SpecError: what is wrong, as the client says it, and on which line.
    """
    if not is_list(content):
        try:
            table = json.read_json(io.BytesIO(content), read_options=_OPTIONS)
            table.validate(full=True)  # Arrow's reader takes what is no UTF-8
            return table
        except pa.ArrowInvalid:
            count_json_rows(io.BytesIO(content), path, {})
    rows = [row for _, row in read_json_rows(io.BytesIO(content), path)]
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


def _flat(table: pa.Table) -> pa.Table:
    """The fields of objects as columns of their own, `meta.a`."""
    while any(types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table
