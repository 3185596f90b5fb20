"""Packed arrays, and the Arrow blocks in which they travel from Ray Data's tasks to the workers.

Runs in: Ray Data tasks, the driver and every Train worker; imports no TensorFlow.

A block has one column for each array, named by its number: numbers as lists of one fixed size, so that the worker reads
them without copying, and text as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.errors import Problem, UserCodeError

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]
Arrays = Any
"""(features,), (features, labels) or (features, labels, weights); each an array (rows, …) or a dict of arrays."""


def leaves(arrays: Arrays) -> list[Any]:
    """The arrays themselves, in one fixed order."""
    if isinstance(arrays, dict):
        return [leaf for name in sorted(arrays) for leaf in leaves(arrays[name])]
    if isinstance(arrays, (tuple, list)):
        return [leaf for part in arrays for leaf in leaves(part)]
    return [arrays]


def map_arrays(function: Callable[..., Any], arrays: Arrays) -> Arrays:
    """The same structure of what the function makes of each array, called in the order of `leaves`."""
    if isinstance(arrays, dict):
        made = {name: map_arrays(function, arrays[name]) for name in sorted(arrays)}
        return {name: made[name] for name in arrays}
    if isinstance(arrays, (tuple, list)):
        return tuple(map_arrays(function, part) for part in arrays)
    return function(arrays)


def like(structure: Arrays, values: list[Any]) -> Arrays:
    """The values in the structure of which `leaves` would give them."""
    rest: Iterator[Any] = iter(values)
    return map_arrays(lambda _: next(rest), structure)


def row_count(arrays: Arrays) -> int:
    return len(leaves(arrays)[0])


def bytes_per_row(arrays: Arrays) -> int:
    """Bytes of one row; of text, what the rows given have on average."""
    rows = max(1, row_count(arrays))
    return max(1, sum(-(-_nbytes(array) // rows) for array in leaves(arrays)))


def _nbytes(array: Any) -> int:
    if array.dtype == object:
        return sum(len(cell) + 8 for cell in array)
    return int(array.nbytes)


def to_block(arrays: Arrays, example: Arrays) -> pa.Table:
    """The rows as a block.

    Args:
        example: some rows of the train source, whose shapes and types all others share; whole numbers become fractions
            where those are.

    Raises:
        UserCodeError: the rows have other shapes or types than the example.
    """
    pairs = zip(leaves(arrays), leaves(example), strict=True)
    return pa.table({str(number): _column(array, model) for number, (array, model) in enumerate(pairs)})


def _column(array: Any, model: Any) -> pa.Array:
    if array.dtype.kind in "iu" and model.dtype.kind == "f":
        array = _exactly(array, model.dtype)
    if array.shape[1:] != model.shape[1:] or array.dtype != model.dtype:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"rows of shape {array.shape[1:]} and type {array.dtype}",
                expected=f"{model.shape[1:]} and {model.dtype}, as in the first rows",
            )
        )
    if array.dtype == object:
        cells = [cell.encode() if isinstance(cell, str) else cell for cell in array.ravel()]
        flat = pa.array(cells, type=pa.large_binary())
    else:
        flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, _width(model))


def _exactly(whole: Any, kind: Any) -> Any:
    """Whole numbers as fractions; as they are where those would round them."""
    fractions = whole.astype(kind)
    return fractions if (fractions.astype(whole.dtype) == whole).all() else whole


def from_block(block: pa.Table, example: Arrays) -> Arrays:
    """The rows of a block; numbers without a copy where the block is in one piece."""
    columns = [_array(block.column(number), model) for number, model in enumerate(leaves(example))]
    return like(example, columns)


def _array(column: pa.ChunkedArray, model: Any) -> Any:
    chunks = [
        chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), *model.shape[1:]) for chunk in column.chunks
    ]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else np.empty((0, *model.shape[1:]), model.dtype)


def _width(model: Any) -> int:
    return int(np.prod(model.shape[1:], dtype=np.int64))
