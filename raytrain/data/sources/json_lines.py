"""Decodes JSON files: a row on each line, which Arrow reads, or one list of rows.

Runs in: Ray Data tasks; the beginnings of files are read in the driver.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import json

from raytrain.spec.peek.json_rows import is_list, read_json_rows

# Arrow needs a whole row within a block, and takes a column's type from all blocks.
_START_BYTES = 1 << 20
_OPTIONS = json.ReadOptions(use_threads=False, block_size=64 << 20)


def decode_json(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        content = stream.read().removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        return
    if is_list(content):
        yield pa.Table.from_pylist([row for _, row in read_json_rows(io.BytesIO(content), path)])
        return
    try:
        yield json.read_json(io.BytesIO(content), read_options=_OPTIONS)
    except pa.ArrowInvalid:
        for _ in read_json_rows(io.BytesIO(content), path):  # says what is wrong as the client does, and on which line
            pass
        raise


def json_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    with filesystem.open_input_stream(path) as stream:
        start = stream.read(_START_BYTES)
    whole_rows = start if len(start) < _START_BYTES else start[: start.rfind(b"\n") + 1]
    whole_rows = whole_rows.removeprefix(codecs.BOM_UTF8)
    if not whole_rows.strip() or is_list(whole_rows):
        return pa.schema([])
    return json.read_json(io.BytesIO(whole_rows), read_options=_OPTIONS).schema
