"""Applies the spec's `preprocess` steps, in order; what is fitted is fitted on the train rows alone.

Runs in: the driver.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.driver.columns import narrow
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.preprocess import OneHot, Preprocess, Scale, Standardize
from raytrain.worker.user_code import call_reference

Columns = dict[str, npt.NDArray[Any]]
_BATCH_ROWS = 1024


def preprocess(splits: dict[str, Columns], steps: list[Preprocess], folder: Path) -> dict[str, Columns]:
    """The splits' columns after all steps.

    Raises:
        UserCodeError: a step names a column that is not there, or its values do not fit.
    """
    for index, step in enumerate(steps):
        field = f"data.preprocess[{index}].{step.kind}"
        for name in [] if step.python else step.value.columns:
            _check_column(splits["train"], name, field)
        match step.value:
            case Scale() as scale:
                splits = _each(splits, scale.columns, lambda array, by=scale.by: array * np.float32(by))
            case Standardize() as standardize:
                splits = _standardize(splits, standardize)
            case OneHot() as one_hot:
                splits = {
                    split: columns | {name: _one_hot(columns[name], one_hot.classes, field) for name in one_hot.columns}
                    for split, columns in splits.items()
                }
            case str() as ref:
                splits = {split: _apply_user(folder, ref, cols) for split, cols in splits.items()}
    return splits


def _each(splits: dict[str, Columns], names: list[str], change: Any) -> dict[str, Columns]:
    return {
        split: columns | {name: change(columns[name]).astype(np.float32) for name in names}
        for split, columns in splits.items()
    }


def _standardize(splits: dict[str, Columns], step: Standardize) -> dict[str, Columns]:
    for name in step.columns:
        train = splits["train"][name].astype(np.float64)
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        deviation = np.where(deviation == 0, 1.0, deviation)
        splits = _each(splits, [name], lambda array, mean=mean, deviation=deviation: (array - mean) / deviation)
    return splits


def _one_hot(array: npt.NDArray[Any], classes: int, field: str) -> npt.NDArray[np.float32]:
    whole = array.astype(np.int64)
    if (whole != array).any() or whole.min() < 0 or whole.max() >= classes:
        raise UserCodeError(
            Problem(field=field, got=f"values from {array.min()} to {array.max()}", expected=f"0 to {classes - 1}")
        )
    return np.eye(classes, dtype=np.float32)[whole]


def _apply_user(folder: Path, ref: str, columns: Columns) -> Columns:
    """The user's function over batches of rows; it takes and returns dicts of arrays (rows, …)."""
    rows = len(next(iter(columns.values())))
    parts = []
    for start in range(0, rows, _BATCH_ROWS):
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
    arrays = {name: narrow(np.asarray(array), name) for name, array in result.items()}
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


def _check_column(columns: Columns, name: str, field: str) -> None:
    if name not in columns:
        raise UserCodeError(Problem(field=field, got=f"column `{name}`", expected=f"one of {', '.join(columns)}"))
    if columns[name].dtype == object:
        raise UserCodeError(Problem(field=field, got=f"text in column `{name}`", expected="numbers"))
