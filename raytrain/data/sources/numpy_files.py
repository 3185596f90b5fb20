"""Decodes numpy files: .npy (column `data`), .npz (a column per array), or one .npy for each column.

Runs in: Ray Data tasks; headers are read in the driver.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.sources.memory_tables import table_of_arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.file_errors import reason_of

_BLOCK_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the beginning of a .npy tells."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: Any

    @property
    def row_bytes(self) -> int:
        return int(self.dtype.itemsize * math.prod(self.shape[1:]))

    @property
    def bytes(self) -> int:
        return self.shape[0] * self.row_bytes


def decode_numpy(filesystem: Any, path: str) -> Iterator[pa.Table]:
    """The rows of a .npy in the column `data`, or of a .npz in a column per array."""
    with filesystem.open_input_file(path) as file:
        if _is_npz(file):
            yield from _blocks(_npz_arrays(file))
        else:
            for rows in _npy_rows(file):
                yield table_of_arrays({"data": rows})


@dataclass(frozen=True)
class DecodeColumns:
    """One .npy for each column: the path that is given stands for them all."""

    paths: dict[str, str]

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        arrays = {}
        for name, file_path in self.paths.items():
            with filesystem.open_input_file(file_path) as file:
                try:
                    arrays[name] = np.load(io.BytesIO(file.read()), allow_pickle=False)
                except (ValueError, EOFError, OSError) as error:
                    raise UserCodeError(
                        Problem(file=file_path, got=reason_of(error), expected="a numpy file")
                    ) from error
        yield from _blocks(arrays)


def read_header(file: Any) -> Header:
    """Reads the header of a .npy; the file stands at its first byte of data afterwards.

    Raises:
        ValueError: no .npy, one of Python objects, or a single number.
    """
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
    shape, fortran_order, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which is not loaded: it can run code")
    if not shape:
        raise ValueError("a single value, which has no rows")
    return Header(shape=shape, fortran_order=fortran_order, dtype=dtype)


def numpy_headers(filesystem: Any, path: str) -> dict[str, Header]:
    """The arrays of a .npz by name, or of a .npy as `data`, from headers alone."""
    with filesystem.open_input_file(path) as file:
        if not _is_npz(file):
            return {"data": read_header(file)}
        archive = zipfile.ZipFile(file)
        headers = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                headers[name.removesuffix(".npy")] = read_header(member)
        return headers


def _is_npz(file: Any) -> bool:
    found: bytes = file.read(4)
    file.seek(0)
    return found == b"PK\x03\x04"


def _npy_rows(file: Any) -> Iterator[Any]:
    """The array in runs of rows, without holding the whole file."""
    header = read_header(file)
    if header.fortran_order:
        file.seek(0)
        yield np.load(io.BytesIO(file.read()), allow_pickle=False)
        return
    count, *shape = header.shape
    step = max(1, _BLOCK_BYTES // max(1, header.row_bytes))
    for start in range(0, count, step):
        rows = min(step, count - start)
        content = file.read(rows * header.row_bytes)
        if len(content) < rows * header.row_bytes:
            raise ValueError(f"the end of the file after {start + len(content) // header.row_bytes} of {count} rows")
        yield np.frombuffer(content, header.dtype).reshape(rows, *shape)


def _npz_arrays(file: Any) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _blocks(arrays: dict[str, Any]) -> Iterator[pa.Table]:
    """Arrays of one length as tables of runs of rows."""
    rows = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(rows.values())) > 1 or not all(array.ndim for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"arrays of different numbers of rows: {shapes}")
    count = next(iter(rows.values()), 0)
    row_bytes = sum(array.nbytes for array in arrays.values()) // max(1, count)
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, count, step):
        yield table_of_arrays({name: array[start : start + step] for name, array in arrays.items()})
