"""What in a job's data is likely a mistake, in words.

Runs in: a child process of the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.label_checks import unseen_classes
from raytrain.data.packed import Arrays, leaves, row_count
from raytrain.spec.data_look import ColumnLook
from raytrain.spec.job import JobSpec

_ID = re.compile(r"(^|[_ .-])(id|ids|uuid|guid|key|index|idx|nr|no)$", re.IGNORECASE)
_ENOUGH = 20


def suspicious_columns(columns: list[ColumnLook], table: pa.Table, spec: JobSpec) -> Iterator[str]:
    """What single columns and pairs of them show."""
    features = [column for column in columns if column.name in spec.data.feature_columns]
    for column in features:
        if column.distinct == 1 and table.num_rows > 1:
            yield f"feature `{column.name}` is {column.values[0]} in every row: it tells nothing"
        elif _is_id(column, table.num_rows):
            yield f"feature `{column.name}` is different in every row, as an id is"
        if column.name in spec.data.label_columns:
            yield f"label `{column.name}` is a feature, too"
        elif column.name in table.column_names:
            yield from _tells_label(column.name, table, spec)


def _is_id(column: ColumnLook, rows: int) -> bool:
    if rows < _ENOUGH or column.distinct != rows:
        return False
    counts_rows = isinstance(column.low, int) and isinstance(column.high, int) and column.high - column.low == rows - 1
    return counts_rows or _ID.search(column.name) is not None


def _tells_label(name: str, table: pa.Table, spec: JobSpec) -> Iterator[str]:
    for label in spec.data.label_columns:
        if label in table.column_names and table.num_rows >= _ENOUGH and _is_one_to_one(table, name, label):
            yield f"feature `{name}` tells label `{label}` exactly: each value of one goes with one of the other"


def _is_one_to_one(table: pa.Table, one: str, other: str) -> bool:
    try:
        pairs = table.select([one, other]).group_by([one, other]).aggregate([])
        singles = [table.select([name]).group_by([name]).aggregate([]).num_rows for name in (one, other)]
    except pa.ArrowException:
        return False
    return bool(pairs.num_rows == singles[0] == singles[1] and pairs.num_rows > 1)


def suspicious_splits(packed: Mapping[str, Arrays], spec: JobSpec) -> Iterator[str]:
    """What the splits show beside each other.

    Args:
        packed: what the model is fed, of each split that has rows.
    """
    train = packed["train"]
    others = {split: arrays for split, arrays in packed.items() if split != "train"}
    seen = _row_bytes(train)
    for split, arrays in others.items():
        again = sum(row in seen for row in _each_row(arrays))
        if again:
            yield f"{again} of {row_count(arrays)} {split} rows are train rows, too"
    for split, arrays in packed.items():
        for labels in leaves(arrays[1]) if len(arrays) > 1 else ():
            if labels.ndim == 1 and len(labels) > 1 and labels.dtype.kind in "iub" and len(np.unique(labels)) == 1:
                yield f"{split} has one class alone: {labels[0]}"
    yield from unseen_classes(train, others, spec)


def _row_bytes(arrays: Arrays) -> set[Any]:
    return set(_each_row(arrays))


def _each_row(arrays: Arrays) -> Iterator[Any]:
    columns = leaves(arrays[:2])
    for row in range(row_count(arrays)):
        yield tuple(
            tuple(np.ravel(column[row])) if column.dtype == object else column[row].tobytes() for column in columns
        )
