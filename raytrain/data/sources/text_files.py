"""Decodes text files in UTF-8: a row for each line, in the column `text`.

Runs in: Ray Data tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from raytrain.spec.peek.text_lines import read_lines

_LINES = 100_000


def decode_text(filesystem: Any, path: str) -> Iterator[pa.Table]:
    with filesystem.open_input_stream(path) as stream:
        lines = read_lines(stream, path)
        while block := list(islice(lines, _LINES)):
            yield pa.table({"text": pa.array(block, pa.string())})
