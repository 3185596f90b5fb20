"""The index of a folder of arrays that `raytrain.fit` has written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX_FILE = "index.json"


@dataclass(frozen=True, kw_only=True)
class ArrayIndex:
    """`parts`: of `x`, `y` and `w`, the file's name, or a dict or list of such."""

    rows: int
    bytes: int
    parts: dict[str, Any]


def read_index(folder: Path) -> ArrayIndex:
    """The index of the folder.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    body = json.loads((folder / INDEX_FILE).read_text())
    return ArrayIndex(rows=body["rows"], bytes=body["bytes"], parts=body["parts"])
