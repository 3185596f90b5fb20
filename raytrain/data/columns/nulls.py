"""Empty cells: refused by name, or filled as the spec says.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from raytrain.errors import Problem, UserCodeError


def empty_cells(name: str, count: int) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data",
            got=f"{count} empty cells in column `{name}`",
            expected="a value in every row",
            fix=f"fill them: data.columns: {{{name}: {{fill: 0}}}}, or preprocess: [{{impute: {{columns: [{name}]}}}}]",
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


def all_empty(name: str, count: int) -> UserCodeError:
    return UserCodeError(
        Problem(
            field="data",
            got=f"column `{name}`, empty in all of {count} rows",
            expected="values",
            fix=f"leave `{name}` out, or fill it: data.columns: {{{name}: {{fill: 0}}}}",
        )
    )


def blanks_as_empty(text: Any) -> Any:
    """Text without a character as an empty cell, which csv cannot tell from it."""
    return pc.if_else(pc.equal(text, pa.scalar("", text.type)), pa.scalar(None, text.type), text)


def fill_empty(flat: Any, name: str, value: bool | int | float | str) -> Any:
    """The column with `value` in place of empty cells and NaN; of lists, in place of their empty elements.

    Raises:
        UserCodeError: the value is of another kind than the column.
    """
    if types.is_list(flat.type) or types.is_large_list(flat.type):
        kind = pa.ListArray if types.is_list(flat.type) else pa.LargeListArray
        lengths = flat.value_lengths().fill_null(0).to_pylist()
        offsets = pa.array([0, *_running_sums(lengths)], flat.offsets.type)
        return kind.from_arrays(offsets, fill_empty(flat.flatten(), name, value))
    if types.is_null(flat.type):
        return pa.array([value] * len(flat))
    is_fraction = isinstance(value, float) and not value.is_integer()
    if types.is_decimal(flat.type) and flat.type.scale <= 0 and not is_fraction:
        flat = flat.cast(pa.decimal256(76, 0))  # wide enough for any value that fills
    elif types.is_decimal(flat.type) or (types.is_integer(flat.type) and is_fraction):
        flat = flat.cast(pa.float64())
    try:
        filled = flat.fill_null(_scalar(value, flat.type))
        return pc.if_else(pc.is_nan(filled), value, filled) if types.is_floating(flat.type) else filled
    except (pa.ArrowException, NotImplementedError, TypeError) as error:
        raise UserCodeError(
            Problem(
                field=f"data.columns.{name}.fill",
                got=f"{value!r} for a column of type {flat.type}",
                expected="a value of the column's own kind",
            )
        ) from error


def _scalar(value: bool | int | float | str, kind: pa.DataType) -> pa.Scalar:
    is_text = not (
        types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    )
    if isinstance(value, str) != is_text:
        raise TypeError
    return pa.scalar(value).cast(kind)


def _running_sums(lengths: list[int]) -> list[int]:
    total, sums = 0, []
    for length in lengths:
        total += length
        sums.append(total)
    return sums
