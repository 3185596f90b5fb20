"""Divides a source's rows into train, validation and test: disjoint, repeatable, independent of workers and blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.shards import SplitCounts

Rows = npt.NDArray[np.int64]
_SPLIT_STREAM = 2**32


def split_rows(counts: SplitCounts, *, seed: int, stratify_by: npt.NDArray[Any] | None = None) -> dict[str, Rows]:
    """The row numbers of each split, ascending, so that the source's order is kept within it.

    Args:
        counts: how many rows each split takes; they add up to all rows.
        seed: the split is a pure function of it and of the counts.
        stratify_by: one class a row, shape (rows,), whose proportions every split keeps.

    Raises:
        UserCodeError: a class has too few rows to be in every split.
    """
    total = counts.train + counts.validation + counts.test
    if stratify_by is not None:
        return _stratified(counts, seed, np.arange(total), stratify_by)
    generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, _SPLIT_STREAM]))
    order = generator.permutation(total)
    test, validation, train = np.split(order, [counts.test, counts.test + counts.validation])
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}


def _stratified(counts: SplitCounts, seed: int, rows: Rows, classes: npt.NDArray[Any]) -> dict[str, Rows]:
    from sklearn.model_selection import train_test_split

    def take(rows: Rows, wanted: int) -> tuple[Rows, Rows]:
        if wanted == 0:
            return rows, rows[:0]
        kept, taken = train_test_split(rows, test_size=wanted, random_state=seed, stratify=classes[rows])
        return kept, taken

    try:
        rest, test = take(rows, counts.test)
        train, validation = take(rest, counts.validation)
    except ValueError as error:
        raise UserCodeError(
            Problem(
                field="data.stratify",
                got=str(error),
                expected="enough rows of every class for every split",
                fix="leave stratify out, or make the fractions larger",
            )
        ) from error
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}
