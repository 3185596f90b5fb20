"""Decodes JSON files: a row on each line, or one list of rows.

Runs in: Ray Data tasks; the first row of the first file is read in the driver.
"""

from __future__ import annotations

import codecs
import io
import json as text_json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import json

# Arrow needs a whole row within a block, and takes a column's type from all blocks.
_START_BYTES = 1 << 20
_OPTIONS = json.ReadOptions(use_threads=False, block_size=64 << 20)


def decode_json(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        content = stream.read().removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        return
    if content.lstrip()[:1] == b"[":
        yield pa.Table.from_pylist(text_json.loads(content))
    else:
        yield json.read_json(io.BytesIO(content), read_options=_OPTIONS)


def json_columns(filesystem: Any, path: str) -> list[str]:
    with filesystem.open_input_stream(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig")
        line = next((line for line in text if line.strip()), "")
    if line.lstrip().startswith("["):
        return []
    row = text_json.loads(line) if line else {}
    return list(row) if isinstance(row, dict) else []


def json_schema(filesystem: Any, path: str) -> pa.Schema:
    """The types of a file's columns, as far as its beginning tells."""
    with filesystem.open_input_stream(path) as stream:
        start = stream.read(_START_BYTES)
    whole_rows = start if len(start) < _START_BYTES else start[: start.rfind(b"\n") + 1]
    whole_rows = whole_rows.removeprefix(codecs.BOM_UTF8)
    if not whole_rows.strip() or whole_rows.lstrip()[:1] == b"[":
        return pa.schema([])
    return json.read_json(io.BytesIO(whole_rows), read_options=_OPTIONS).schema
