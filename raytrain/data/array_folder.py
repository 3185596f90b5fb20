"""Arrays as they are in memory, in a folder: a `.npy` file each, and an index of how they belong together.

Runs in: the process that hands them over, the driver, and every Train worker, which maps the files instead of reading
them. So the workers of a node share one copy, and only the rows that are used are ever read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.data.packed import Array, Arrays, leaves, row_count
from raytrain.errors import Problem, UserCodeError
from raytrain.files import write_whole
from raytrain.spec.peek.array_index import INDEX_FILE, read_index

_CHUNK_BYTES = 16 << 20


@dataclass(frozen=True)
class Narrowed:
    """An array that is written as another type, a part at a time."""

    array: Array
    dtype: npt.DTypeLike

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def __len__(self) -> int:
        return len(self.array)


def write_arrays(folder: Path, parts: Mapping[str, Any]) -> None:
    """Writes arrays (rows, …), the index last.

    Args:
        folder: made where it is not there.
        parts: by name, `x`, `y` and `w`: an array or `Narrowed`, or a dict, list or tuple of those.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = leaves(dict(parts))
    names = iter(_names())
    size = sum(_write(folder / f"{number}.npy", array) for number, array in enumerate(arrays))
    tree = {name: _described(part, names) for name, part in sorted(parts.items())}
    index = {
        "schema_version": 1,
        "rows": row_count(arrays),
        "bytes": size,
        "parts": {name: tree[name] for name in parts},
    }
    write_whole(folder / INDEX_FILE, json.dumps(index))


def read_arrays(folder: Path) -> Arrays:
    """(features,), (features, labels) or (features, labels, weights), mapped into memory; lists are tuples.

    Raises:
        UserCodeError: this node does not see the folder.
    """
    try:
        index = read_index(folder)
    except OSError as error:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"{folder}, which this node does not see ({error.strerror})",
                expected="arrays in a storage that this machine and every node of the cluster see",
                fix="storage: an NFS mount under the same path everywhere, or s3://…",
            )
        ) from error
    return tuple(_read(folder, node) for node in index.parts.values())


def _names() -> Iterator[str]:
    number = 0
    while True:
        yield f"{number}.npy"
        number += 1


def _described(part: Any, names: Iterator[str]) -> Any:
    """The part's structure, its leaves named in the order of `leaves`."""
    if isinstance(part, dict):
        made = {name: _described(part[name], names) for name in sorted(part)}
        return {name: made[name] for name in part}
    if isinstance(part, (tuple, list)):
        return [_described(item, names) for item in part]
    return next(names)


def _read(folder: Path, node: Any) -> Arrays:
    if isinstance(node, dict):
        return {name: _read(folder, item) for name, item in node.items()}
    if isinstance(node, list):
        return tuple(_read(folder, item) for item in node)
    return np.load(folder / node, mmap_mode="r").view(np.ndarray)


def _write(path: Path, given: Array | Narrowed) -> int:
    """Writes an array without a copy of the whole of it; returns its bytes in the file."""
    array, dtype = (given.array, np.dtype(given.dtype)) if isinstance(given, Narrowed) else (given, given.dtype)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": array.shape}
    rows = max(1, _CHUNK_BYTES // max(1, array.nbytes // max(1, len(array))))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(array), rows):
            np.ascontiguousarray(array[start : start + rows], dtype).tofile(file)
    return int(dtype.itemsize * array.size)
