"""A worker's own rows of one split, filled once and read at random from then on, in memory or on local disk.

Runs in: every Train worker of the sharded tier.

The files on disk have no name: they are gone with the process, however it ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from raytrain import formatting
from raytrain.data.packed import Array, Arrays, Rows, leaves, like
from raytrain.errors import Problem, UserCodeError


class _Column(Protocol):
    def append(self, cells: Array) -> None:
        """Adds rows (rows, …) after those that are there."""

    def take(self, rows: Rows) -> Array:
        """The rows of these numbers, shape (*rows.shape, …)."""


class Cache:
    """Rows of packed arrays, appended in order until all are there.

    Args:
        rows: how many there will be.
        example: some rows, whose structure, shapes and types all have.
        folder: where the rows are kept on disk; in memory when None.

    Raises:
        UserCodeError: the disk has no room for them.
    """

    def __init__(self, rows: int, example: Arrays, *, folder: Path | None) -> None:
        self.rows = rows
        self.filled = 0
        self._example = example
        self._columns: list[_Column] = [
            _Text(rows, leaf, folder) if leaf.dtype == object else _Numbers(rows, leaf, folder)
            for leaf in leaves(example)
        ]

    def append(self, arrays: Arrays, rows: Rows) -> None:
        """Adds these rows of the arrays."""
        for column, leaf in zip(self._columns, leaves(arrays), strict=True):
            column.append(leaf[rows])
        self.filled += len(rows)

    def take(self, rows: Rows) -> Arrays:
        """The rows of these numbers; each array has the shape (*rows.shape, …)."""
        return like(self._example, [column.take(rows) for column in self._columns])


class _Numbers:
    def __init__(self, rows: int, example: Array, folder: Path | None) -> None:
        shape = (rows, *example.shape[1:])
        if folder is None:
            self._array: Array = np.empty(shape, example.dtype)
        else:
            self._array = _map_file(_reserved(folder, int(np.prod(shape)) * example.itemsize), shape, example.dtype)
        self._filled = 0

    def append(self, cells: Array) -> None:
        self._array[self._filled : self._filled + len(cells)] = cells
        self._filled += len(cells)

    def take(self, rows: Rows) -> Array:
        return np.take(self._array, rows, axis=0)


class _Text:
    """Cells of text end to end, and where each begins."""

    def __init__(self, rows: int, example: Array, folder: Path | None) -> None:
        self._shape = example.shape[1:]
        self._width = int(np.prod(self._shape))
        self._ends = [np.zeros(1, np.int64)]
        self._folder = folder
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._text: Any = None
        self._offsets: npt.NDArray[np.int64] | None = None

    def append(self, cells: Array) -> None:
        flat = [cell.encode() if isinstance(cell, str) else cell for cell in cells.ravel()]
        if not flat:
            return
        self._ends.append(self._ends[-1][-1] + np.cumsum([len(cell) for cell in flat]))
        if self._file is None:
            self._parts.append(b"".join(flat))
            return
        try:
            self._file.writelines(flat)
        except OSError as error:
            raise _no_room(self._folder, int(self._ends[-1][-1])) from error

    def take(self, rows: Rows) -> Array:
        offsets, text = self._read()
        cells = (rows.ravel()[:, None] * self._width + np.arange(self._width)[None, :]).ravel()
        found = np.empty(len(cells), object)
        found[:] = [bytes(text[offsets[cell] : offsets[cell + 1]]) for cell in cells]
        return found.reshape(*rows.shape, *self._shape)

    def _read(self) -> tuple[npt.NDArray[np.int64], Any]:
        if self._offsets is None:
            self._offsets = np.concatenate(self._ends)
            if self._file is None:
                self._text = memoryview(b"".join(self._parts))
                self._parts.clear()
            else:
                self._file.flush()
                self._text = _map_file(self._file, (int(self._offsets[-1]),), np.dtype(np.uint8)).data
        return self._offsets, self._text


def _reserved(folder: Path, size: int) -> IO[bytes]:
    """A file of that size whose room on the disk is certain: a write through a mapping cannot fail but by a signal."""
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed once it is mapped
    try:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        file.close()
        raise _no_room(folder, size) from error
    return file


def _map_file(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The file as an array; it stays as long as that, though it is closed."""
    with file:
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape) if np.prod(shape) else np.empty(shape, dtype)


def _no_room(folder: Path | None, size: int) -> UserCodeError:
    free = formatting.size(shutil.disk_usage(folder or "/").free)
    return UserCodeError(
        Problem(
            field="data.cache",
            got=f"{formatting.size(size)} of rows to keep in {folder}, which has {free} left",
            expected="room for a worker's rows on its node's disk",
            fix="data.cache=streaming, more workers' nodes, or TMPDIR in environment.env_vars on a larger disk",
        )
    )
