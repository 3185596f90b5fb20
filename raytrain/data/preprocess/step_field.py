"""Where a step stands, for what it refuses.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.errors import Problem, UserCodeError

Array = npt.NDArray[Any]
Columns = Mapping[str, Array]


@dataclass(frozen=True)
class StepField:
    """A step's field in the spec, and the column it works on."""

    field: str
    column: str

    def refuse(self, got: str, expected: str, fix: str = "") -> UserCodeError:
        return UserCodeError(Problem(field=self.field, got=got, expected=expected, fix=fix))

    def column_in(self, columns: Columns) -> Array:
        if self.column not in columns:
            raise self.refuse(f"column `{self.column}`", f"one of {', '.join(columns)}")
        return columns[self.column]


def numbers(array: Array, place: StepField) -> Array:
    """The column, which must be of numbers."""
    if array.dtype == object:
        raise place.refuse(f"text in column `{place.column}`", "numbers")
    return array


def as_float(result: Array, before: Array) -> Array:
    """What a step computed, as float64 for the steps after it, whatever numbers the column was of before.

    Pixels become float32, which is what they are fed as; a column that is to be float16 stays that.
    """
    if before.dtype == np.uint8:
        return result.astype(np.float32)
    return result.astype(before.dtype if before.dtype == np.float16 else np.float64)
