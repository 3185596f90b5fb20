"""The user's own step: a function of a batch, given and giving a dict of arrays.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from raytrain.data.columns.narrowing import narrow, narrow_all
from raytrain.data.columns.nulls import masked_values
from raytrain.data.preprocess.step_field import Array, Columns
from raytrain.errors import Problem, UserCodeError
from raytrain.user_code import call_reference

_BATCH_ROWS = 1024


def apply_user(folder: Path, ref: str, columns: Columns, *, wide: Container[str] = ()) -> Columns:
    """The user's function over batches of rows; it takes and returns dicts of arrays (rows, …).

    Args:
        wide: columns that stay float64 where the function returns them so.

    Raises:
        UserCodeError: it returns something else, or masked values, or other columns from one batch than from another.
    """
    rows = len(next(iter(columns.values())))
    parts: list[Columns] = []
    for start in range(0, max(rows, 1), _BATCH_ROWS):
        batch = {name: array[start : start + _BATCH_ROWS].copy() for name, array in columns.items()}
        result = call_reference(ref, folder, batch)
        parts.append(_checked(result, ref, rows=min(_BATCH_ROWS, rows - start), wide=wide))
        if parts[-1].keys() != parts[0].keys():
            raise UserCodeError(
                Problem(
                    got=f"the columns {', '.join(parts[-1])} from {ref} after {', '.join(parts[0])}",
                    expected="the same columns from every batch",
                )
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checked(result: Any, ref: str, *, rows: int, wide: Container[str]) -> Columns:
    """What the user's function returned for a batch of `rows` rows, as arrays (rows, …) of the types Keras is fed."""
    if not isinstance(result, dict):
        raise UserCodeError(
            Problem(got=f"a {type(result).__name__} from {ref}", expected="a dict of arrays, as it was given")
        )
    arrays = narrow_all({name: _array(array, name) for name, array in result.items()}, wide=wide)
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


def _array(value: Any, name: str) -> Array:
    """An array of the user's, float64 as it is; text is kept as objects, as in columns that were read."""
    if np.ma.is_masked(value):
        raise masked_values(f"column `{name}`")
    array = np.asarray(value)
    if array.dtype == np.float64:
        return array
    return array.astype(object) if array.dtype.kind in "US" else narrow(array, name)
