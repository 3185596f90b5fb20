"""Columns whose rows hold lists of any length, and the elements in them.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import re
from itertools import chain

import numpy as np
import numpy.typing as npt

from raytrain.data.preprocess.step_field import Array, StepField

_TOKEN = re.compile(r"\S+")


def elements(array: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """All elements of a column, one row after the other, and how many each row has."""
    if holds_lists(array):
        lengths = np.array([len(cell) for cell in array], np.int64)
        flat = list(chain.from_iterable(array))
        if any(isinstance(element, str) for element in flat[:1]):
            return as_objects(flat), lengths
        return np.asarray(flat), lengths
    per_row = int(np.prod(array.shape[1:], dtype=np.int64))
    return array.reshape(-1), np.full(len(array), per_row)


def holds_lists(array: Array) -> bool:
    return array.dtype == object and array.ndim == 1 and bool(len(array)) and isinstance(array[0], list)


def in_lists(values: Array, lengths: npt.NDArray[np.int64]) -> Array:
    """The elements as the lists they came from."""
    ends = np.cumsum(lengths).tolist()
    flat = values.tolist()
    return as_objects([flat[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)])


def as_objects(cells: list[object]) -> Array:
    """A column of Python objects, lists among them, (rows,)."""
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def tokens(array: Array, place: StepField, pattern: re.Pattern[str] = _TOKEN) -> Array:
    """Text as lists of tokens; lists stay as they are."""
    if holds_lists(array):
        return array
    if array.dtype != object or array.ndim > 1:
        raise place.refuse(f"numbers in column `{place.column}`", "text, or lists of tokens")
    return as_objects([pattern.findall(cell) for cell in array])
