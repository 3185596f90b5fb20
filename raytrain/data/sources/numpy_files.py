"""Decodes numpy files: .npy (column `data`), .npz (a column per array), or one .npy for each column.

Runs in: Ray Data tasks; headers are read in the driver, by `raytrain.spec.peek.numpy_headers`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.sources.file_reading import read_head
from raytrain.data.sources.memory_tables import table_of_arrays
from raytrain.spec.peek.numpy_headers import ArrayHeader, array_headers, check_same_rows, column_header, is_archive

_BLOCK_BYTES = 32 << 20


def decode_numpy(filesystem: Any, path: str) -> Iterator[pa.Table]:
    """The rows of a .npy in the column `data`, or of a .npz in a column per array."""
    with filesystem.open_input_file(path) as file:
        headers = array_headers(file, path)
        if is_archive(file):
            with np.load(file, allow_pickle=False) as arrays:
                yield from _blocks({name: arrays[name] for name in arrays.files})
        elif headers["data"].fortran_order:
            yield table_of_arrays({"data": np.load(io.BytesIO(file.read()), allow_pickle=False)})
        else:
            for rows in _runs_of_rows(file, headers["data"]):
                yield table_of_arrays({"data": rows})


@dataclass(frozen=True)
class DecodeColumns:
    """One .npy for each column: the path that is given stands for them all."""

    paths: dict[str, str]

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        column_headers(filesystem, self.paths)
        arrays = {}
        for name, file_path in self.paths.items():
            with filesystem.open_input_file(file_path) as file:
                arrays[name] = np.load(io.BytesIO(file.read()), allow_pickle=False)
        yield from _blocks(arrays)


def column_headers(filesystem: Any, paths: Mapping[str, str]) -> dict[str, ArrayHeader]:
    """Of the one .npy for each column, each with as many rows."""
    reads = {name: partial(column_header, name=name) for name in paths}
    headers = {name: read_head(read, filesystem, paths[name], "numpy") for name, read in reads.items()}
    check_same_rows(headers)
    return headers


def _runs_of_rows(file: Any, header: ArrayHeader) -> Iterator[Any]:
    """The array in runs of rows, without holding the whole file."""
    count, *shape = header.shape
    step = max(1, _BLOCK_BYTES // max(1, header.row_bytes))
    file.seek(header.start)
    for start in range(0, count, step):
        rows = min(step, count - start)
        yield np.frombuffer(file.read(rows * header.row_bytes), header.dtype).reshape(rows, *shape)


def _blocks(arrays: dict[str, Any]) -> Iterator[pa.Table]:
    """Arrays of one length as tables of runs of rows."""
    count = len(next(iter(arrays.values())))
    row_bytes = sum(array.nbytes for array in arrays.values()) // max(1, count)
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, count, step):
        yield table_of_arrays({name: array[start : start + step] for name, array in arrays.items()})
