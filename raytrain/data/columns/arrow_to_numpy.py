"""Columns -> arrays: the one typed mapping from Arrow columns to what Keras is fed.

Runs in: the driver, and the Ray Data tasks it starts. A column counts by its logical type, whatever layout a writer has
chosen for it: `docs/data.md` has the table of what each becomes. float64 narrows to float32, once nothing is computed
or compared of it any more; what cannot be mapped is refused with column, type and what to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as types

from raytrain.data.columns.image_cells import decode_images, is_images
from raytrain.data.columns.logical_columns import as_fractions, logical_column
from raytrain.data.columns.narrowing import default_type, narrow
from raytrain.data.columns.nulls import all_empty, blanks_as_empty, empty_cells, fill_empty, has_nan
from raytrain.data.columns.padding import as_lists, pad_lists
from raytrain.data.columns.rounding import check_exact, whole_numbers
from raytrain.data.columns.times import is_time, whole_units
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ColumnRequest:
    """What a column is to become.

    Attributes:
        name: of the column.
        options: what the spec says of it.
        may_be_empty: a step that imputes takes it: empty numbers become NaN, empty text None.
        may_be_ragged: a step that takes lists reads it: lists stay lists, in an array of objects.
        keeps_digits: float64 stays float64, unless `options` has a dtype.
        is_label: its images are masks, whose pixels are classes.
    """

    name: str
    options: ColumnSpec | None = None
    may_be_empty: bool = False
    may_be_ragged: bool = False
    keeps_digits: bool = False
    is_label: bool = False

    @property
    def may_be_nan(self) -> bool:
        return self.may_be_empty or bool(self.options and self.options.allow_nan)

    @property
    def may_be_fraction(self) -> bool:
        return self.may_be_nan or bool(self.options and self.options.dtype and self.options.dtype.startswith("float"))

    @property
    def fills(self) -> bool:
        return bool(self.options and self.options.fill is not None)

    @property
    def pad(self) -> int | None:
        return self.options.pad if self.options else None


def to_arrays(
    table: pa.Table,
    names: list[str],
    options: Mapping[str, ColumnSpec] | None = None,
    *,
    may_be_empty: Container[str] = (),
    may_be_ragged: Container[str] = (),
    keeps_digits: Container[str] = (),
    labels: Container[str] = (),
) -> dict[str, Array]:
    """The named columns as arrays (rows, …).

    Args:
        options: what the spec says of columns.
        may_be_empty: columns whose empty cells a later step fills.
        may_be_ragged: columns whose lists a later step takes as they are.
        keeps_digits: columns that something is computed or compared of before they are narrowed.
        labels: columns that labels alone are made of.

    Raises:
        UserCodeError: a column is missing, holds nulls, or is of a type that Keras cannot be fed.
    """
    options = options or {}
    return {
        name: _to_array(
            _column(table, name),
            ColumnRequest(
                name=name,
                options=options.get(name),
                may_be_empty=name in may_be_empty,
                may_be_ragged=name in may_be_ragged,
                keeps_digits=name in keeps_digits,
                is_label=name in labels,
            ),
        )
        for name in names
    }


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


def _to_array(column: pa.ChunkedArray, request: ColumnRequest) -> Array:
    options = request.options
    flat = logical_column(column)
    kind = flat.type
    if options and options.size:
        return decode_images(flat, request.name, options, is_mask=request.is_label)
    flat = blanks_as_empty(_of_one_width(flat))
    if options and options.timestamp:
        flat = whole_units(flat, request.name, options)
    elif is_time(kind):
        raise _unmapped(request.name, column.type, f"data.columns: {{{request.name}: {{timestamp: seconds}}}}")
    if types.is_null(kind) and request.may_be_nan:
        flat = flat.cast(pa.float64())
    elif len(flat) and flat.null_count == len(flat) and not request.may_be_nan and not request.fills:
        raise all_empty(request.name, len(flat), of=kind)
    if request.pad and (types.is_large_string(kind) or any(check(kind) for check in _NUMBERS)):
        flat = as_lists(flat)
    if options and options.fill is not None:
        flat = fill_empty(flat, request.name, options.fill)
    if _is_list(flat.type) and (request.pad or request.may_be_ragged):
        return _lists(flat, request, of=column.type)
    cells = _cells(flat, request, of=column.type)
    if _is_whole(kind) and cells.dtype.kind == "f" and not (options and options.dtype):
        check_exact(cells, request.name, default_type(cells.dtype))
    return _fitted(cells, request)


def _of_one_width(flat: Any) -> Any:
    """Numbers that stand alone in the width they are fed in, where a narrower one shows: uint8 is for pixels."""
    if types.is_uint8(flat.type):
        return flat.cast(pa.int64())
    return flat.cast(pa.float32()) if types.is_float16(flat.type) else flat


def _cells(flat: Any, request: ColumnRequest, *, of: pa.DataType) -> Array:
    """One cell a row: text, a number, a tensor or a list as long as all others; `of` is the whole column's type."""
    if types.is_large_string(flat.type):
        if flat.null_count and not request.may_be_empty:
            raise empty_cells(request.name, flat.null_count, of=flat.type)
        return np.asarray(flat.to_pylist(), dtype=object)
    if hasattr(flat, "to_numpy_ndarray"):
        elements = flat.storage.flatten()
        _check_numbers(elements.type, request.name, of=of)
        if flat.null_count or elements.null_count:
            raise empty_cells(request.name, flat.null_count or elements.null_count, of=elements.type)
        return np.asarray(flat.to_numpy_ndarray())
    if is_images(flat.type):
        raise _unmapped(
            request.name, of, f"if they are images, data.columns: {{{request.name}: {{size: [HEIGHT, WIDTH]}}}}"
        )
    if _is_list(flat.type):
        return _rectangle(flat, request, of=of)
    return _numbers(flat, request, of=of)


def _rectangle(flat: Any, request: ColumnRequest, *, of: pa.DataType) -> Array:
    """Numbers, or lists of them nested to any depth, as one array (rows, …)."""
    kind = flat.type
    if not _is_list(kind):
        return _numbers(flat, request, of=of)
    if flat.null_count:
        raise empty_cells(request.name, flat.null_count, of=kind)
    if types.is_fixed_size_list(kind):
        inner = _rectangle(flat.flatten(), request, of=of)
        return inner.reshape(len(flat), kind.list_size, *inner.shape[1:])
    lengths = set(np.diff(flat.offsets.to_numpy()).tolist())
    if len(lengths) > 1:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"column `{request.name}` with lists of {min(lengths)} to {max(lengths)} elements",
                expected="lists of one length",
                fix=f"say how long they are to be: data.columns: {{{request.name}: {{pad: {max(lengths)}}}}}",
            )
        )
    inner = _rectangle(flat.flatten(), request, of=of)
    return inner.reshape(len(flat), *lengths, *inner.shape[1:])


def _lists(flat: Any, request: ColumnRequest, *, of: pa.DataType) -> Array:
    """Lists of any length: padded, or as they are for a step that takes them."""
    options = request.options
    if flat.null_count and not request.fills:
        raise empty_cells(request.name, flat.null_count, of=flat.type)
    lengths = np.asarray(flat.value_lengths().fill_null(0)).astype(np.int64)
    elements = flat.flatten()
    inner = ColumnRequest(name=request.name, options=options)
    values = _fitted(_cells(elements, inner, of=of), request)
    if request.pad:
        assert options is not None
        return pad_lists(values, lengths, request.name, options)
    rows = np.empty(len(flat), dtype=object)
    rows[:] = [part.tolist() for part in np.split(values, np.cumsum(lengths)[:-1])] if len(flat) else []
    return rows


def _numbers(flat: Any, request: ColumnRequest, *, of: pa.DataType) -> Array:
    _check_numbers(flat.type, request.name, of=of)
    if flat.null_count and not request.may_be_nan:
        raise empty_cells(request.name, flat.null_count, of=flat.type)
    if types.is_decimal(flat.type):
        is_whole = _is_whole(flat.type) and not request.may_be_fraction
        flat = whole_numbers(flat, request.name) if is_whole else as_fractions(flat)
    elif request.may_be_nan and flat.type != pa.float64():  # of this type whether or not a block has nulls
        flat = (flat.cast(pa.int8()) if types.is_boolean(flat.type) else flat).cast(pa.float64(), safe=False)
    return np.asarray(flat.to_numpy(zero_copy_only=False))


_NUMBERS: tuple[Callable[[pa.DataType], bool], ...] = (
    types.is_boolean,
    types.is_integer,
    types.is_floating,
    types.is_decimal,
)


def _check_numbers(kind: pa.DataType, name: str, *, of: pa.DataType) -> None:
    if not any(check(kind) for check in _NUMBERS):
        raise _unmapped(name, of, "turn it into one of these in a function: data.train: {python: data.py:load}")


def _unmapped(name: str, kind: pa.DataType, fix: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data",
            got=f"column `{name}` of type {kind}",
            expected="numbers, booleans, text, or lists of numbers of one length",
            fix=fix,
        )
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_whole(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or (types.is_decimal(kind) and kind.scale <= 0))


def _fitted(cells: Array, request: ColumnRequest) -> Array:
    dtype = request.options.dtype if request.options else None
    if not request.may_be_nan and has_nan(cells):
        raise empty_cells(request.name, int(np.isnan(cells).sum()), of=pa.float64())
    if request.keeps_digits and dtype is None and cells.dtype == np.float64:
        return cells
    return narrow(cells, request.name, dtype)
