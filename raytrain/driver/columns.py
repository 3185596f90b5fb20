"""Columns -> arrays: the one typed mapping from Arrow columns to what Keras is fed.

Runs in: the driver. float64 narrows to float32; what cannot be mapped is refused with column, type and a way out.
"""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.data import DataSpec

Array = npt.NDArray[Any]


def to_arrays(table: pa.Table, names: list[str]) -> dict[str, Array]:
    """The named columns as arrays (rows, …).

    Raises:
        UserCodeError: a column is missing, holds nulls, or is of a type that Keras cannot be fed.
    """
    return {name: _to_array(_column(table, name), name) for name in names}


def pack(columns: dict[str, Array], data: DataSpec) -> tuple[Any, ...]:
    """(features,), (features, labels) or (features, labels, weights), as `raytrain.worker.feed.Arrays`."""
    features = _features(columns, data)
    if data.label is None:
        return (features,)
    label = columns[data.label] if isinstance(data.label, str) else {k: columns[c] for k, c in data.label.items()}
    if data.weight is None:
        return features, label
    return features, label, columns[data.weight].astype(np.float32)


def _features(columns: dict[str, Array], data: DataSpec) -> Any:
    if isinstance(data.features, dict):
        return {name: _one_input(columns, group) for name, group in data.features.items()}
    assert data.features is not None
    return _one_input(columns, data.features)


def _one_input(columns: dict[str, Array], group: str | list[str]) -> Array:
    """One column as it is, or a list of them side by side (rows, elements), in the order given."""
    if isinstance(group, str):
        return columns[group]
    for name in group:
        if columns[name].dtype == object:
            raise UserCodeError(
                Problem(
                    field="data.features",
                    got=f"text column `{name}` among columns that form one input",
                    expected="numbers",
                    fix=f"give it an input of its own, features: {{{name}: {name}, …}}",
                )
            )
    parts = [columns[name].reshape(len(columns[name]), -1) for name in group]
    return np.concatenate(parts, axis=1)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        near = difflib.get_close_matches(name, table.column_names, n=1)
        raise UserCodeError(
            Problem(
                field="data",
                got=f"column `{name}`",
                expected=f"one of {', '.join(table.column_names)}",
                fix=f"did you mean `{near[0]}`?" if near else "",
            )
        )
    return table.column(name)


def _to_array(column: pa.ChunkedArray, name: str) -> Array:
    _refuse_nulls(column, name)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return np.asarray(column.to_pylist(), dtype=object)
    flat = column.combine_chunks()
    if pa.types.is_dictionary(kind):
        return _to_array(pa.chunked_array([flat.dictionary_decode()]), name)
    if hasattr(flat, "to_numpy_ndarray"):
        if hasattr(flat.storage, "flatten"):
            _refuse_nulls(flat.storage.flatten(), name)
        return narrow(flat.to_numpy_ndarray())
    return narrow(_rectangle(flat, name, of=kind))


def _rectangle(flat: Any, name: str, *, of: pa.DataType) -> Array:
    """Numbers, or lists of them nested to any depth, as one array (rows, …); `of` is the whole column's type."""
    _refuse_nulls(flat, name)
    kind = flat.type
    if pa.types.is_fixed_size_list(kind):
        inner = _rectangle(flat.flatten(), name, of=of)
        return inner.reshape(len(flat), kind.list_size, *inner.shape[1:])
    if not pa.types.is_list(kind) and not pa.types.is_large_list(kind):
        return _numbers(flat, name, of=of)
    lengths = set(np.diff(flat.offsets.to_numpy()).tolist())
    if len(lengths) > 1:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"column `{name}` with lists of {min(lengths)} to {max(lengths)} elements",
                expected="lists of one length",
                fix="pad them in a function: data.train: {python: data.py:load}",
            )
        )
    inner = _rectangle(flat.flatten(), name, of=of)
    return inner.reshape(len(flat), *lengths, *inner.shape[1:])


def _numbers(flat: Any, name: str, *, of: pa.DataType) -> Array:
    kind = flat.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        array = np.asarray(flat.to_numpy(zero_copy_only=False))
        if array.dtype != np.uint64 or not len(array) or array.max() < 2**63:
            return array
        raise UserCodeError(
            Problem(field="data", got=f"{array.max()} in column `{name}`", expected="whole numbers below 2**63")
        )
    if pa.types.is_decimal(kind):
        return np.asarray(flat.cast(pa.float64()).to_numpy(zero_copy_only=False))
    raise UserCodeError(
        Problem(
            field="data",
            got=f"column `{name}` of type {of}",
            expected="numbers, booleans, text, or lists of numbers of one length",
            fix="turn it into one of these in a function: data.train: {python: data.py:load}",
        )
    )


def _refuse_nulls(values: Any, name: str) -> None:
    if values.null_count:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"{values.null_count} empty cells in column `{name}`",
                expected="a value in every row",
                fix="fill or drop them in a function: data.train: {python: data.py:load}",
            )
        )


def narrow(array: Array) -> Array:
    """float64 and float16 become float32, booleans float32, whole numbers int64; uint8 (images) stays as it is."""
    if array.dtype.kind in "fb":
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return array.astype(np.int64)
    return array
