"""The steps that compute with numbers, element by element.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raytrain.data.preprocess.learned import State, finite
from raytrain.data.preprocess.step_field import Array, StepField, as_float, numbers
from raytrain.spec.preprocess_steps import Bucket, Impute, Normalize, Power, Scale


def scale(array: Array, step: Scale, state: State, place: StepField) -> Array:
    if array.dtype == np.uint8:  # pixels, of which there are many: each of the 256 is multiplied once
        return (np.arange(256) * step.by).astype(np.float32)[array]
    return as_float(numbers(array, place).astype(np.float64) * step.by, array)


def standardize(array: Array, step: Any, state: State, place: StepField) -> Array:
    return _shifted(array, state["mean"], state["std"], place)


def min_max(array: Array, step: Any, state: State, place: StepField) -> Array:
    return _shifted(array, state["min"], np.subtract(state["max"], state["min"]), place)


def max_abs(array: Array, step: Any, state: State, place: StepField) -> Array:
    return _shifted(array, 0.0, np.maximum(np.abs(state["min"]), np.abs(state["max"])), place)


def robust(array: Array, step: Any, state: State, place: StepField) -> Array:
    return _shifted(array, state["median"], state["range"], place)


def _shifted(array: Array, centre: Any, width: Any, place: StepField) -> Array:
    """(x - centre) / width in float64; a width of 0 counts as 1, so that a constant column becomes zeros."""
    width = np.asarray(width, np.float64)
    values = numbers(array, place).astype(np.float64)
    return as_float((values - np.asarray(centre)) / np.where(width == 0, 1.0, width), array)


def power(array: Array, step: Power, state: State, place: StepField) -> Array:
    import pandas as pd
    from ray.data.preprocessors import PowerTransformer

    flat = numbers(array, place).astype(np.float64).reshape(-1)
    if step.method == "box-cox" and len(flat) and flat.min() <= 0:
        raise place.refuse(
            f"{flat.min():g} in column `{place.column}`", "numbers above 0 for box-cox", "use method: yeo-johnson"
        )
    raised = PowerTransformer(["x"], step.power, step.method).transform_batch(pd.DataFrame({"x": flat}))
    return as_float(np.asarray(raised["x"]).reshape(array.shape), array)


def bucket(array: Array, step: Bucket, state: State, place: StepField) -> Array:
    edges = state if isinstance(step.bins, int) else step.bins
    return np.digitize(finite(numbers(array, place), place), edges, right=True).astype(np.int64)


def impute(array: Array, step: Impute, state: State, place: StepField) -> Array:
    value = step.fill_value if step.strategy == "constant" else state
    is_text = array.dtype == object
    if is_text != isinstance(value, str):
        kind = "text" if is_text else "numbers"
        raise place.refuse(f"{value!r} for empty cells of column `{place.column}`", kind)
    if is_text:
        return np.array([value if cell is None else cell for cell in array], dtype=object)
    return np.where(np.isnan(array), np.asarray(value, array.dtype), array) if array.dtype.kind == "f" else array


def normalize(arrays: list[Array], step: Normalize, places: list[StepField]) -> list[Array]:
    """Each row's elements, of all the columns together, divided by their norm; a row of zeros stays one."""
    flat = [
        numbers(array, place).astype(np.float64).reshape(len(array), -1)
        for array, place in zip(arrays, places, strict=True)
    ]
    together = np.concatenate(flat, axis=1)
    match step.norm:
        case "l1":
            norms = np.abs(together).sum(axis=1)
        case "l2":
            norms = np.sqrt((together**2).sum(axis=1))
        case _:
            norms = np.abs(together).max(axis=1)
    norms = np.where(norms == 0, 1.0, norms)[:, None]
    return [as_float((part / norms).reshape(array.shape), array) for part, array in zip(flat, arrays, strict=True)]
