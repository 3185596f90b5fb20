"""What steps learn from the train rows, a chunk at a time.

Runs in: the driver.

The chunks are the same however the rows were cut into tables (`raytrain.data.pipeline`), so what is learned is
the same to the last bit. A state is made of lists, numbers and text alone: it is written as JSON.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import numpy as np

from raytrain.data.preprocess.step_field import Array, StepField, numbers
from raytrain.data.preprocess.tokens import elements
from raytrain.spec.preprocess_steps import Bucket, Count, Impute, Robust

State = Any


class Statistic(Protocol):
    """Something that is learned of one column."""

    def add(self, array: Array) -> None:
        """Takes the next rows, (rows, …)."""

    def state(self) -> State:
        """What was learned from all of them."""


class Moments:
    """Mean and standard deviation (ddof 0) of each element: Chan, Golub and LeVeque (1979), merged chunk by chunk.

    All is counted from the first row, so that a constant column has a deviation of exactly 0.
    """

    def __init__(self, place: StepField) -> None:
        self._place = place
        self._rows = 0
        self._first: Any = None

    def add(self, array: Array) -> None:
        values = finite(numbers(array, self._place), self._place).astype(np.float64)
        if self._first is None:
            self._first = values[0]
            self._mean, self._squares = np.zeros_like(self._first), np.zeros_like(self._first)
        values = values - self._first
        rows, mean = len(values), values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        apart, total = mean - self._mean, self._rows + rows
        self._squares = self._squares + squares + apart**2 * (self._rows * rows / total)
        self._mean = self._mean + apart * (rows / total)
        self._rows = total

    def state(self) -> State:
        deviation = np.sqrt(self._squares / self._rows)
        return {"mean": (self._first + self._mean).tolist(), "std": deviation.tolist()}


class Extent:
    """Smallest and largest value of each element."""

    def __init__(self, place: StepField) -> None:
        self._place = place
        self._low: Any = np.inf
        self._high: Any = -np.inf

    def add(self, array: Array) -> None:
        values = finite(numbers(array, self._place), self._place).astype(np.float64)
        self._low = np.minimum(self._low, values.min(axis=0))
        self._high = np.maximum(self._high, values.max(axis=0))

    def state(self) -> State:
        return {"min": self._low.tolist(), "max": self._high.tolist()}


class Bins(Extent):
    """The inner edges of bins of equal width, the same for all elements."""

    def __init__(self, place: StepField, step: Bucket) -> None:
        super().__init__(place)
        assert isinstance(step.bins, int)
        self._bins = step.bins

    def state(self) -> State:
        return np.linspace(np.min(self._low), np.max(self._high), self._bins + 1)[1:-1].tolist()


class Quantiles:
    """Median and two quantiles of each element, exact; it keeps the train column in the driver's memory."""

    def __init__(self, place: StepField, step: Robust) -> None:
        self._place = place
        self._asked = [0.5, *step.quantiles]
        self._parts: list[Array] = []

    def add(self, array: Array) -> None:
        self._parts.append(finite(numbers(array, self._place), self._place))

    def state(self) -> State:
        values = np.concatenate(self._parts).astype(np.float64)
        median, low, high = np.quantile(values, self._asked, axis=0)
        return {"median": median.tolist(), "range": (high - low).tolist()}


class Mean:
    """Mean of all that is no NaN; of a vector column one mean for all elements."""

    def __init__(self, place: StepField) -> None:
        self._place = place
        self._sum, self._count = 0.0, 0

    def add(self, array: Array) -> None:
        there = numbers(array, self._place).astype(np.float64)
        there = there[~np.isnan(there)]
        self._sum, self._count = self._sum + float(there.sum()), self._count + len(there)

    def state(self) -> State:
        if not self._count:
            raise _nothing_there(self._place)
        return self._sum / self._count


class Frequencies:
    """The most frequent value; of several, the smallest."""

    def __init__(self, place: StepField) -> None:
        self._place = place
        self._counts: Counter[Any] = Counter()

    def add(self, array: Array) -> None:
        self._counts.update(value for value in elements(array)[0].tolist() if value is not None and value == value)

    def state(self) -> State:
        if not self._counts:
            raise _nothing_there(self._place)
        return min(self._counts, key=lambda value: (-self._counts[value], value))


class Categories:
    """All values of a column, or of the elements of its lists, in order."""

    def __init__(self, place: StepField) -> None:
        self._place = place
        self._seen: set[Any] = set()

    def add(self, array: Array) -> None:
        values = finite(elements(array)[0], self._place)
        self._seen.update(set(values) if values.dtype == object else np.unique(values).tolist())

    def state(self) -> State:
        try:
            return sorted(self._seen)
        except TypeError as error:
            kinds = " and ".join(sorted({type(value).__name__ for value in self._seen}))
            raise self._place.refuse(
                f"values of several kinds in column `{self._place.column}` ({kinds})", "values of one kind"
            ) from error


class Vocabulary(Frequencies):
    """The most frequent tokens, the most frequent first; equals in order."""

    def __init__(self, place: StepField, step: Count) -> None:
        super().__init__(place)
        self._most = step.max_features

    def state(self) -> State:
        return sorted(self._counts, key=lambda value: (-self._counts[value], value))[: self._most]


def imputed(place: StepField, step: Impute) -> Statistic | None:
    match step.strategy:
        case "mean":
            return Mean(place)
        case "most_frequent":
            return Frequencies(place)
        case _:
            return None


def finite(array: Array, place: StepField) -> Array:
    """The column, which must hold no NaN and no infinity where something is computed of all its rows."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise place.refuse(
            f"NaN or infinity in column `{place.column}`",
            "finite numbers",
            f"fill them before this step: {{impute: {{columns: [{place.column}]}}}}",
        )
    return array


def _nothing_there(place: StepField) -> Exception:
    return place.refuse(
        f"column `{place.column}`, empty in all train rows", "values to take the empty cells' place from"
    )
