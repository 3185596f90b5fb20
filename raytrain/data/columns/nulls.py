"""Empty cells, which are nulls, NaN and text without a character: refused by name, or filled as the spec says.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from raytrain.data.columns.logical_columns import as_fractions
from raytrain.errors import Problem, UserCodeError

Fill = bool | int | float | str


def empty_cells(name: str, count: int, *, of: pa.DataType) -> UserCodeError:
    """The refusal of empty cells in a column of type `of`, with the fill that works there."""
    fill = '""' if types.is_large_string(of) else "0"
    what = (
        f"impute: {{columns: [{name}], strategy: most_frequent}}" if fill == '""' else f"impute: {{columns: [{name}]}}"
    )
    return UserCodeError(
        Problem(
            field="data",
            got=f"{count} empty cells in column `{name}` of {kind_words(of)}",
            expected="a value in every row"
            + ("; NaN is none, unless allow_nan: true" if types.is_floating(of) else ""),
            fix=f"fill them: data.columns: {{{name}: {{fill: {fill}}}}}, or preprocess: [{{{what}}}]",
        )
    )


def masked_values(column: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data",
            got=f"masked values in {column}",
            expected="a value everywhere",
            fix="fill them in your function: array.filled(…)",
        )
    )


def all_empty(name: str, count: int, *, of: pa.DataType) -> UserCodeError:
    fill = '""' if types.is_large_string(of) else "0"
    return UserCodeError(
        Problem(
            field="data",
            got=f"column `{name}`, empty in all of {count} rows",
            expected="values",
            fix=f"leave `{name}` out, or fill it: data.columns: {{{name}: {{fill: {fill}}}}}",
        )
    )


def kind_words(kind: pa.DataType) -> str:
    """What a logical type holds, in words: `text`, `booleans`, `whole numbers`, … or Arrow's own name."""
    known = (
        (types.is_large_string, "text"),
        (types.is_boolean, "booleans"),
        (types.is_integer, "whole numbers"),
        (types.is_floating, "fractions"),
        (types.is_decimal, "decimals"),
        (types.is_large_list, "lists"),
        (types.is_fixed_size_list, "lists"),
    )
    return next((words for check, words in known if check(kind)), f"type {kind}")


def blanks_as_empty(flat: Any) -> Any:
    """Cells that say nothing as empty ones: NaN, and text without a character, which csv cannot tell from none."""
    if types.is_large_string(flat.type):
        blank = pc.equal(flat, pa.scalar("", flat.type))
    elif types.is_floating(flat.type):
        blank = pc.is_nan(flat)
    else:
        return flat
    return pc.if_else(blank, pa.scalar(None, flat.type), flat) if pc.any(blank).as_py() else flat


def has_nan(array: npt.NDArray[Any]) -> bool:
    """Whether any number is NaN, told in one pass that makes no copy, where none is."""
    if array.dtype.kind != "f" or not array.size:
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isnan(array.sum()) and np.isnan(array).any())  # infinities of both signs add up to NaN, too


def fill_empty(flat: Any, name: str, value: Fill) -> Any:
    """The column with `value` in place of empty cells and NaN; of lists, in place of their empty elements.

    The value is one of the type that reaches the model, into which the column's own is widened where need be: -1 among
    booleans, 0.5 among whole numbers, 300 among those of 8 bits.

    Raises:
        UserCodeError: the value is of another kind than the column.
    """
    if types.is_fixed_size_list(flat.type) and flat.null_count:
        flat = flat.cast(pa.large_list(flat.type.value_type))
    if types.is_large_list(flat.type):
        lengths = np.asarray(flat.value_lengths().fill_null(0))
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
        return pa.LargeListArray.from_arrays(offsets, fill_empty(flat.flatten(), name, value))
    if types.is_fixed_size_list(flat.type):
        return pa.FixedSizeListArray.from_arrays(fill_empty(flat.flatten(), name, value), flat.type.list_size)
    if types.is_null(flat.type):
        return pa.array([value] * len(flat), pa.large_string() if isinstance(value, str) else None)
    value = int(value) if isinstance(value, bool) and not types.is_boolean(flat.type) else value
    try:
        wide = _wide_enough(flat, value)
        filled = wide.fill_null(pa.scalar(value).cast(wide.type))
        return pc.if_else(pc.is_nan(filled), value, filled) if types.is_floating(wide.type) else filled
    except (pa.ArrowException, NotImplementedError, TypeError, OverflowError) as error:
        quoted = types.is_large_string(flat.type) and not isinstance(value, str)
        raise UserCodeError(
            Problem(
                field=f"data.columns.{name}.fill",
                got=f"{value!r} for column `{name}` of {kind_words(flat.type)}",
                expected="text" if quoted else "a value of the column's own kind",
                fix=f'put it in quotes: {{{name}: {{fill: "{value}"}}}}' if quoted else "",
            )
        ) from error


def _wide_enough(flat: Any, value: Fill) -> Any:
    """The column in a type that holds the value, whether or not this part of it has an empty cell."""
    kind = flat.type
    is_text = not any(
        check(kind) for check in (types.is_boolean, types.is_integer, types.is_floating, types.is_decimal)
    )
    if isinstance(value, str) != is_text:
        raise TypeError
    if is_text or (types.is_boolean(kind) and isinstance(value, bool)):
        return flat
    number = float(value)
    if types.is_decimal(kind) and kind.scale <= 0 and number.is_integer():
        pa.scalar(int(value), pa.int64())
        return flat.cast(pa.decimal256(76, 0))
    if types.is_decimal(kind):
        return as_fractions(flat)
    if types.is_integer(kind) and number.is_integer():
        return flat if types.is_uint64(kind) and number >= 0 else flat.cast(pa.int64())
    if types.is_integer(kind) or kind == pa.float64() or not _is_float32(number):
        return (flat.cast(pa.int8()) if types.is_boolean(kind) else flat).cast(pa.float64())
    return (flat.cast(pa.int8()) if types.is_boolean(kind) else flat).cast(pa.float32())


def _is_float32(number: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(number)) == number
