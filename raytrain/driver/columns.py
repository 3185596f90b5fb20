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
    for name in data.label_columns:
        _check_label(columns[name], name)
    label = columns[data.label] if isinstance(data.label, str) else {k: columns[c] for k, c in data.label.items()}
    if data.weight is None:
        return features, label
    return features, label, columns[data.weight].astype(np.float32)


def _features(columns: dict[str, Array], data: DataSpec) -> Any:
    if isinstance(data.features, dict):
        return {name: _one_input(columns, group) for name, group in data.features.items()}
    assert data.features is not None
    return _one_input(columns, data.features)


def _check_label(column: Array, name: str) -> None:
    if column.dtype == object:
        classes = sorted(set(map(str, column)))
        shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
        raise UserCodeError(
            Problem(
                field="data.label",
                got=f"text in column `{name}` ({shown})",
                expected="numbers: 0, 1, 2, … for classes",
                fix="number the classes in a function: preprocess: [{python: data.py:number}]",
            )
        )


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
        elements = flat.storage.flatten()
        _refuse_nulls(elements, name)
        _check_numbers(elements.type, name, of=kind)
        return narrow(flat.to_numpy_ndarray(), name)
    return narrow(_rectangle(flat, name, of=kind), name)


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
    _check_numbers(flat.type, name, of=of)
    if pa.types.is_decimal(flat.type):
        flat = flat.cast(pa.float64())
    array = np.asarray(flat.to_numpy(zero_copy_only=False))
    if array.dtype == np.uint64 and len(array) and array.max() >= 2**63:
        raise UserCodeError(
            Problem(field="data", got=f"{array.max()} in column `{name}`", expected="whole numbers below 2**63")
        )
    return array


def _check_numbers(kind: pa.DataType, name: str, *, of: pa.DataType) -> None:
    types = pa.types
    if not any(check(kind) for check in (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)):
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


def narrow(array: Array, name: str) -> Array:
    """float64 and float16 become float32, booleans float32, whole numbers int64; uint8 (images) stays as it is.

    Raises:
        UserCodeError: a number of column `name` is too large for float32.
    """
    if array.dtype.kind in "fb":
        try:
            with np.errstate(over="raise"):
                return array.astype(np.float32)
        except FloatingPointError as error:
            raise UserCodeError(
                Problem(
                    field="data",
                    got=f"{np.abs(array[np.isfinite(array)]).max():g} in column `{name}`",
                    expected=f"numbers up to {np.finfo(np.float32).max:g}, which is what float32 holds",
                )
            ) from error
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return array.astype(np.int64)
    return array
