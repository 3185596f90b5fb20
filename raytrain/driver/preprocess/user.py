"""The user's own step: a function of a batch, given and giving a dict of arrays.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from raytrain.driver.columns import narrow
from raytrain.driver.preprocess.place import Array, Columns
from raytrain.errors import Problem, UserCodeError
from raytrain.worker.user_code import call_reference

_BATCH_ROWS = 1024


def apply_user(folder: Path, ref: str, columns: Columns) -> Columns:
    """The user's function over batches of rows; it takes and returns dicts of arrays (rows, …)."""
    rows = len(next(iter(columns.values())))
    parts: list[Columns] = []
    for start in range(0, max(rows, 1), _BATCH_ROWS):
        batch = {name: array[start : start + _BATCH_ROWS].copy() for name, array in columns.items()}
        parts.append(_checked(call_reference(ref, folder, batch), ref, rows=min(_BATCH_ROWS, rows - start)))
        if parts[-1].keys() != parts[0].keys():
            raise UserCodeError(
                Problem(
                    got=f"the columns {', '.join(parts[-1])} from {ref} after {', '.join(parts[0])}",
                    expected="the same columns from every batch",
                )
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checked(result: Any, ref: str, *, rows: int) -> Columns:
    """What the user's function returned for a batch of `rows` rows, as arrays (rows, …) of the types Keras is fed."""
    if not isinstance(result, dict):
        raise UserCodeError(
            Problem(got=f"a {type(result).__name__} from {ref}", expected="a dict of arrays, as it was given")
        )
    arrays = {name: narrow(_array(array), name) for name, array in result.items()}
    for name, array in arrays.items():
        if array.shape[:1] != (rows,):
            raise UserCodeError(
                Problem(
                    got=f"column `{name}` of shape {array.shape} from {ref} for a batch of {rows} rows",
                    expected="one element a row",
                    fix="add or drop rows in a function that reads them: data.train: {python: data.py:load}",
                )
            )
    return arrays


def _array(value: Any) -> Array:
    """An array of the user's; text is kept as objects, as in columns that were read."""
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "US" else array
