"""Everything of a compiled model that training changes, in one order on both sides, and how it is kept in a file.

Runs in: the process that calls `raytrain.fit`, and every Train worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

_TYPES = "types"


def variables_of(model: keras.Model) -> list[keras.Variable]:
    """Weights, seeds and the optimizer's variables, each once; the metrics', which every epoch resets, are left out."""
    metrics = {id(variable) for variable in model.metrics_variables}
    optimizer = getattr(model, "optimizer", None)  # which a model that is not compiled yet does not have
    every = [*model.weights, *model.variables, *(optimizer.variables if optimizer is not None else ())]
    return [variable for variable in {id(item): item for item in every}.values() if id(variable) not in metrics]


def values_of(model: keras.Model) -> list[Any]:
    """This process' own values, for which no network is crossed."""
    strategy = model.distribute_strategy
    return [np.array(_local(strategy, variable)) for variable in variables_of(model)]


def assign(model: keras.Model, values: Iterable[Any]) -> None:
    """Gives the variables their values.

    Raises:
        ValueError: the model has other variables than the one that the values came from.
    """
    variables, values = variables_of(model), list(values)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise ValueError(f"{len(values)} values for a model of {len(variables)} variables, or of other shapes")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save(path: Path, values: Iterable[Any]) -> None:
    """Writes arrays of any of TensorFlow's types; numpy's files do not know bfloat16 and its like."""
    arrays = list(values)
    types = [array.dtype.name for array in arrays]
    kept: dict[str, Any] = {str(number): _as_numpy_knows_it(array) for number, array in enumerate(arrays)}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **kept, **{_TYPES: np.array(json.dumps(types))})


def load(path: Path) -> list[Any]:
    with np.load(path, allow_pickle=False) as kept:
        types = json.loads(str(kept[_TYPES]))
        return [_as_it_was(kept[str(number)], name) for number, name in enumerate(types)]


def _local(strategy: tf.distribute.Strategy, variable: keras.Variable) -> Any:
    [mine] = strategy.experimental_local_results(variable.value)
    return np.asarray(mine.read_value())


def _as_numpy_knows_it(array: Any) -> Any:
    return array.view(f"u{array.dtype.itemsize}") if hasattr(ml_dtypes, array.dtype.name) else array


def _as_it_was(array: Any, name: str) -> Any:
    return array.view(getattr(ml_dtypes, name)) if hasattr(ml_dtypes, name) else array
