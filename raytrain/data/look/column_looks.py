"""What there is to say of each column.

Runs in: a child process of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raytrain.data.columns.arrow_to_numpy import Array, to_arrays
from raytrain.data.columns.logical_columns import logical_column
from raytrain.data.columns.nulls import blanks_as_empty
from raytrain.data.preprocess.step_kinds import TAKES_LISTS
from raytrain.errors import UserCodeError
from raytrain.spec.data_look import ColumnLook
from raytrain.spec.data_spec import DataSpec

_SHOWN, _CLASSES, _WIDTH = 3, 20, 24


def look_at_columns(table: pa.Table, data: DataSpec, made: Mapping[str, Array]) -> list[ColumnLook]:
    """Each column of the source, then those that steps made.

    Args:
        made: every column after the last step; none where the rows are refused.
    """
    looks = [_look(table, name, data, made) for name in table.column_names]
    steps = {name: step.kind for step in data.preprocess for name in step.outputs if name not in table.column_names}
    return looks + [_look_at_made(name, kind, made[name], data) for name, kind in steps.items() if name in made]


def _look(table: pa.Table, name: str, data: DataSpec, made: Mapping[str, Array]) -> ColumnLook:
    cells = blanks_as_empty(logical_column(table.column(name)))
    role = role_of(name, data)
    becomes, refused = _becomes(table, name, data, made) if role else ("", "")
    low, high = _extent(cells)
    is_changed = name in made and any(name in step.outputs for step in data.preprocess)
    return ColumnLook(
        name=name,
        role=role,
        kind=_kind_words(table.schema.field(name).type),
        becomes=becomes,
        refused=refused,
        empty=cells.null_count,
        distinct=_distinct(cells),
        low=low,
        high=high,
        values=() if _is_tensor(cells.type) else tuple(map(_word, cells.drop_null()[:_SHOWN].to_pylist())),
        classes=_classes(cells) if role == "label" else (),
        preprocessed=_numbers_extent(made[name]) if is_changed else None,
    )


def _look_at_made(name: str, kind: str, array: Array, data: DataSpec) -> ColumnLook:
    return ColumnLook(
        name=name,
        role=role_of(name, data),
        kind=f"made by {kind}",
        becomes=shape_words(array),
        preprocessed=_numbers_extent(array),
    )


def role_of(name: str, data: DataSpec) -> str:
    """What a column is to the job: feature, label, weight, split; read by a step; or nothing."""
    roles = {
        "label": name in data.label_columns,
        "weight": name == data.weight,
        "feature": name in data.feature_columns,
        "split": name == data.split_column,
        "step": name in data.source_columns,
    }
    return next((role for role, is_it in roles.items() if is_it), "")


def shape_words(array: Array) -> str:
    """`float32`, or `float32 (32, 32, 3)`, of a row."""
    kind = "text" if array.dtype == object else str(array.dtype)
    return f"{kind} {array.shape[1:]}".replace(",)", ")") if array.ndim > 1 else kind


def _becomes(table: pa.Table, name: str, data: DataSpec, made: Mapping[str, Array]) -> tuple[str, str]:
    if name in made:
        return shape_words(made[name]), ""
    steps = [step for step in data.preprocess if name in step.columns]
    try:
        array = to_arrays(
            table,
            [name],
            data.columns,
            may_be_empty=[name] if any(step.impute for step in steps) else (),
            may_be_ragged=[name] if any(step.kind in TAKES_LISTS for step in steps) else (),
            labels=data.label_sources,
        )[name]
    except UserCodeError as error:
        return "", "; ".join(f"{problem.got}; {problem.fix or problem.expected}" for problem in error.problems)
    return shape_words(array), ""


def _is_tensor(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.FixedShapeTensorType)


def _kind_words(kind: pa.DataType) -> str:
    return f"tensor of {kind.value_type} {tuple(kind.shape)}" if _is_tensor(kind) else str(kind)


def _distinct(cells: Any) -> int | None:
    try:
        return int(pc.count_distinct(cells, mode="only_valid").as_py())
    except pa.ArrowException:
        return None


def _extent(cells: Any) -> tuple[Any, Any]:
    try:
        both = pc.min_max(cells).as_py()
    except pa.ArrowException:
        return None, None
    low, high = (value if value is None or _is_number(value) else _word(value) for value in both.values())
    return low, high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers_extent(array: Array) -> tuple[float, float] | None:
    if array.dtype == object or not array.size:
        return None
    return float(np.nanmin(array)), float(np.nanmax(array))


def _classes(cells: Any) -> tuple[tuple[str, int], ...]:
    try:
        counts = pc.value_counts(cells.drop_null())
    except pa.ArrowException:
        return ()
    found = [(count["values"], count["counts"]) for count in counts.to_pylist()]
    return tuple((_word(value), rows) for value, rows in sorted(found)) if len(found) <= _CLASSES else ()


def _word(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
