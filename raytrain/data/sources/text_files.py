"""Decodes text files in UTF-8: a row for each line, in the column `text`.

Runs in: Ray Data tasks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

_LINES = 100_000


def decode_text(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        lines = (line.rstrip("\n") for line in io.TextIOWrapper(stream, encoding="utf-8-sig"))
        while block := list(islice(lines, _LINES)):
            yield pa.table({"text": pa.array(block, pa.string())})
