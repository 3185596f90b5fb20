"""Which columns of the input are written beside a prediction's answers.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as types

from raytrain.data.columns.logical_columns import logical_column
from raytrain.errors import Problem, UsageError

_CARRIED = (
    *(types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_temporal),
    *(types.is_string, types.is_large_string, types.is_null),
)


def carried_columns(first_rows: pa.Table, asked: Sequence[str] | None) -> list[str]:
    """The input's columns that are written: those that are asked for, or all that hold one value a row.

    Raises:
        UsageError: one is not there, or holds more than one value a row.
    """
    if asked is None:
        return [field.name for field in first_rows.schema if _is_single(first_rows, field.name)]
    for name in asked:
        if name not in first_rows.column_names:
            offered = ", ".join(first_rows.column_names)
            raise UsageError(Problem(field="--columns", got=f"column `{name}`", expected=f"one of {offered}"))
        if not _is_single(first_rows, name):
            got = f"column `{name}` of type {first_rows.schema.field(name).type}"
            raise UsageError(Problem(field="--columns", got=got, expected="columns of one value a row"))
    return list(asked)


def _is_single(table: pa.Table, name: str) -> bool:
    kind = logical_column(table.column(name)).type
    return any(check(kind) for check in _CARRIED)
