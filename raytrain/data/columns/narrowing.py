"""Arrays in the types that Keras is fed: float32, int64, uint8, unless the spec names another.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from raytrain.data.columns.rounding import signed
from raytrain.errors import Problem, UserCodeError

Array = npt.NDArray[Any]


def narrow_all(columns: Mapping[str, Array], *, wide: Container[str]) -> dict[str, Array]:
    """The columns with float64 as float32, but for those that are `wide`."""
    return {
        name: narrow(array, name) if array.dtype == np.float64 and name not in wide else array
        for name, array in columns.items()
    }


def narrow(array: Array, name: str, dtype: str | None = None) -> Array:
    """float64 and float16 become float32, booleans float32, whole numbers int64; uint8 (images) stays as it is.

    Args:
        dtype: what the spec asks for instead.

    Raises:
        UserCodeError: a number of column `name` does not fit the type.
    """
    kind = np.dtype(dtype) if dtype else default_type(array.dtype)
    if array.dtype == kind:
        return array
    if array.dtype == object:
        raise UserCodeError(Problem(field=f"data.columns.{name}.dtype", got=f"text, for {kind}", expected="numbers"))
    if kind.kind in "iu":
        return _whole(array, kind, name) if dtype else signed(array, name)
    try:
        with np.errstate(over="raise"):
            return array.astype(kind)
    except FloatingPointError as error:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"{np.abs(array[np.isfinite(array)]).max():g} in column `{name}`",
                expected=f"numbers up to {np.finfo(kind).max:g}, which is what {kind} holds",
                fix="" if kind == np.float64 else f"data.columns: {{{name}: {{dtype: float64}}}}",
            )
        ) from error


def default_type(kind: np.dtype[Any]) -> np.dtype[Any]:
    """What an array of type `kind` is fed as, where the spec says nothing else."""
    if kind.kind in "fb":
        return np.dtype(np.float32)
    return np.dtype(np.int64) if kind.kind in "iu" and kind != np.uint8 else kind


def _whole(array: Array, kind: np.dtype[Any], name: str) -> Array:
    limits = np.iinfo(kind)
    if array.size and (
        not np.isfinite(array).all()
        or (np.floor(array) != array).any()
        or array.min() < limits.min
        or array.max() > limits.max
    ):
        raise UserCodeError(
            Problem(
                field="data",
                got=f"numbers from {array.min():g} to {array.max():g} in column `{name}`",
                expected=f"whole numbers from {limits.min} to {limits.max}, which is what {kind} holds",
            )
        )
    return array.astype(kind)
