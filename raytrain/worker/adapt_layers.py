"""Teaches the model's preprocessing layers what the train rows hold: vocabularies, means, bin edges.

Runs in: every Train worker, before the first step is traced. All workers adapt to the same rows in the same order and
batches, so that all have the same vocabulary and the same statistics.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from raytrain.data.packed import Arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.job import JobSpec

Array = npt.NDArray[Any]
_BATCH_ROWS = 4096


def adapt_layers(
    model: keras.Model, spec: JobSpec, train: Callable[[], Iterator[Arrays]], strategy: tf.distribute.Strategy
) -> None:
    """Calls `adapt` of the layers that `data.adapt` names, each with its input's train rows.

    Args:
        train: goes through all train rows, the same and in the same order on every worker; once for each layer.

    Raises:
        UserCodeError: the model has no such layer, the layer cannot be adapted, or does not take the rows.
    """
    for name, columns in spec.data.adapt.items():
        layer = _layer(model, name)
        key = spec.data.input_of(columns)
        assert key is not None  # the client has refused what is no input
        with strategy.scope():
            try:
                layer.adapt(_batches(_input(part[0], key) for part in train()))
            except (ValueError, TypeError, tf.errors.OpError) as error:
                raise UserCodeError(
                    Problem(
                        field=f"data.adapt.{name}",
                        got=f"{columns}, from which layer `{name}` does not learn: {str(error).splitlines()[0]}",
                        expected=f"rows that a {type(layer).__name__} layer takes",
                    )
                ) from error


def _input(features: Any, key: str) -> Array:
    array: Array = features[key] if isinstance(features, dict) else features
    return array


def _layer(model: keras.Model, name: str) -> Any:
    layers = {layer.name: layer for layer in model._flatten_layers(include_self=False)}
    adaptable = sorted(found for found, layer in layers.items() if hasattr(layer, "adapt"))
    if name in adaptable:
        return layers[name]
    near = difflib.get_close_matches(name, adaptable, n=1)
    kind = f"layer `{name}`, a {type(layers[name]).__name__} without adapt()" if name in layers else f"layer `{name}`"
    raise UserCodeError(
        Problem(
            field=f"data.adapt.{name}",
            got=kind,
            expected=f"one of {', '.join(adaptable)}" if adaptable else "a model with a preprocessing layer",
            fix=f"did you mean `{near[0]}`?" if near else "name the layer in the model: keras.layers.X(name=…)",
        )
    )


def _batches(arrays: Iterator[Array]) -> Iterator[Array]:
    """The rows in batches of `_BATCH_ROWS`, each (rows, elements, …), however they were cut before."""
    waiting: list[Array] = []
    rows = 0
    for array in arrays:
        array = array[:, None] if array.ndim == 1 else array
        while rows + len(array) >= _BATCH_ROWS:
            taken = _BATCH_ROWS - rows
            yield np.concatenate([*waiting, array[:taken]])
            waiting, rows, array = [], 0, array[taken:]
        if len(array):
            waiting.append(array)
            rows += len(array)
    if waiting:
        yield np.concatenate(waiting)
