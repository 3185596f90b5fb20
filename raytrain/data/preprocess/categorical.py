"""The steps that number, count and hash categories and tokens.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.data.columns.padding import pad_elements
from raytrain.data.preprocess.learned import State, finite
from raytrain.data.preprocess.step_field import Array, StepField, numbers
from raytrain.data.preprocess.tokens import as_objects, elements, holds_lists, in_lists, tokens
from raytrain.spec.preprocess_steps import Count, Encode, Hash, MultiHot, OneHot, Pad, Tokenize

_SHOWN = 5


def encode(array: Array, step: Encode, state: State, place: StepField) -> Array:
    values, lengths = elements(array)
    known = _known(values, state, place, refuse=step.unseen == "refuse")
    found = np.where(known < 0, step.unseen if isinstance(step.unseen, int) else 0, known + step.start)
    return in_lists(found, lengths) if holds_lists(array) else found.reshape(array.shape)


def one_hot(array: Array, step: OneHot, state: State, place: StepField) -> Array:
    if step.classes is not None:
        found = _whole(array, step.classes, place)
    else:
        values, _ = elements(array)
        found = _known(values, state, place, refuse=step.unseen == "refuse").reshape(array.shape)
    size = step.classes or len(state)
    rows = np.eye(size + 1, size, dtype=np.float32)  # the last one, for -1, is of zeros
    return rows[found]


def multi_hot(array: Array, step: MultiHot, state: State, place: StepField) -> Array:
    return _counted(array, state, place, refuse=step.unseen == "refuse")


def count(array: Array, step: Count, state: State, place: StepField) -> Array:
    return _counted(tokens(array, place), state, place, refuse=False)


def hashed(array: Array, step: Hash, state: State, place: StepField) -> Array:
    """With Ray Data's own hash, so that a token has the place that HashingVectorizer gives it."""
    from ray.data.preprocessors.utils import simple_hash

    values, lengths = elements(tokens(array, place))
    unique, inverse = np.unique(values.astype(str), return_inverse=True)
    places = np.array([simple_hash(str(token), step.features) for token in unique], np.int64)
    return _sums(places[inverse] if len(unique) else inverse, lengths, step.features)


def tokenize(array: Array, step: Tokenize, state: State, place: StepField) -> Array:
    if array.dtype != object or holds_lists(array):
        raise place.refuse(f"no text in column `{place.column}`", "text")
    text = as_objects([cell.lower() for cell in array]) if step.lowercase else array
    return tokens(text, place, re.compile(step.pattern))


def pad(array: Array, step: Pad, state: State, place: StepField) -> Array:
    values, lengths = elements(array)
    return pad_elements(
        values,
        lengths,
        length=step.length,
        value=step.value,
        truncate=step.truncate,
        name=place.column,
        field=place.field,
    )


def _counted(array: Array, state: State, place: StepField, *, refuse: bool) -> Array:
    values, lengths = elements(array)
    return _sums(_known(values, state, place, refuse=refuse), lengths, len(state))


def _sums(found: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], width: int) -> Array:
    """How often each row has each of `width` numbers, float32 (rows, width); -1 is not counted."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    counts = np.zeros((len(lengths), width), np.float32)
    np.add.at(counts, (rows[found >= 0], found[found >= 0]), 1)
    return counts


def _known(values: Array, categories: list[Any], place: StepField, *, refuse: bool) -> npt.NDArray[np.int64]:
    """The place of each value among the categories, -1 for those that are not there."""
    number_of = {category: number for number, category in enumerate(categories)}
    if values.dtype == object:
        unique = list(dict.fromkeys(values.tolist()))
        place_of = {value: number for number, value in enumerate(unique)}
        inverse = np.array([place_of[value] for value in values.tolist()], np.int64)
    else:
        distinct, inverse = np.unique(values, return_inverse=True)
        unique = distinct.tolist()
    if unique and categories and isinstance(unique[0], str) != isinstance(categories[0], str):
        there, learned = ("text", "numbers") if isinstance(unique[0], str) else ("numbers", "text")
        raise place.refuse(
            f"{there} in column `{place.column}` ({unique[0]}), which holds {learned} in the train rows "
            f"({categories[0]})",
            "values of one kind in all sources",
            "a csv column whose cells all look like numbers is one of numbers: change it in a function, "
            "{python: data.py:load}",
        )
    unseen = [value for value in unique if value not in number_of]
    if unseen and refuse:
        shown = ", ".join(map(str, unseen[:_SHOWN])) + (", …" if len(unseen) > _SHOWN else "")
        raise place.refuse(
            f"{shown} in column `{place.column}`, which no train row has",
            f"the values that the train rows have ({len(categories)} of them)",
            "say what is to become of others, unseen: …; or stratify the split by the column",
        )
    found = np.array([number_of.get(value, -1) for value in unique], np.int64)
    return found[inverse] if len(unique) else np.zeros(0, np.int64)


def _whole(array: Array, classes: int, place: StepField) -> npt.NDArray[np.int64]:
    whole = finite(numbers(array, place), place).astype(np.int64)
    if whole.size and ((whole != array).any() or whole.min() < 0 or whole.max() >= classes):
        raise place.refuse(f"values from {array.min()} to {array.max()}", f"0 to {classes - 1}")
    return whole
