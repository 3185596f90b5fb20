"""Which variables decide the future of a training, and their values on the host.

Runs in: every Train worker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

from raytrain.worker.checkpoints.checkpoint import Array


def deciding(model: keras.Model) -> list[keras.Variable | tf.Variable]:
    """Everything that decides the future at an epoch's end, in an order that the model itself fixes, each once."""
    metrics = {id(variable) for variable in model.metrics_variables}
    every = [
        *model.variables,
        *optimizers_variables(model),
        global_seed_generator().state,
    ]
    behind = {id(variable.value) for variable in [*every, *model.metrics_variables]}
    every += [item for item in _held(model) if isinstance(item, tf.Variable) and id(item) not in behind]
    unique = {id(variable): variable for variable in every if id(variable) not in metrics}
    return list(unique.values())


def differing(model: keras.Model) -> list[keras.Variable]:
    """What differs between workers within an epoch, since each changes it by its own rows: metrics and statistics."""
    of_layers = [variable for layer in model._flatten_layers() for variable in layer._non_trainable_variables]
    every = [*of_layers, *model.metrics_variables]
    return list({id(variable): variable for variable in every}.values())


def optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Those that the model holds, or a model or a layer of the user's own within it: one, as a rule."""
    found = [item for item in _held(model) if isinstance(item, keras.optimizers.Optimizer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


def optimizers_variables(model: keras.Model) -> list[keras.Variable]:
    """Those of the optimizers, and of optimizers that one of the user's own holds without telling Keras."""
    found, waiting = [], optimizers(model)
    seen: set[int] = set()
    while waiting:
        optimizer = waiting.pop(0)
        if id(optimizer) not in seen:
            seen.add(id(optimizer))
            found += optimizer.variables
            held = [item for value in vars(optimizer).values() for item in _items(value)]
            waiting += [item for item in held if isinstance(item, keras.optimizers.Optimizer)]
    return found


def inner_optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Those that have a learning rate and accumulators of their own: the ones within a `LossScaleOptimizer`, say."""
    held = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer in optimizers(model)]
    return [inner for optimizer in held for inner in getattr(optimizer, "optimizers", [optimizer])]


def accumulators(model: keras.Model) -> list[keras.Variable]:
    """The gradients that are summed up until the weights are changed, where they are changed every few steps only."""
    return [
        variable
        for optimizer in inner_optimizers(model)
        for variable in getattr(optimizer, "_accumulated_gradients", [])
    ]


def are_finite(strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable | tf.Variable]) -> bool:
    """Whether every number is; their sum, which is cheap, clears almost all of them."""
    for value in (local(strategy, variable).read_value() for variable in variables):
        if not (math.isfinite(float(tf.reduce_sum(value))) or bool(tf.reduce_all(tf.math.is_finite(value)))):
            return False
    return True


def local(strategy: tf.distribute.Strategy, variable: keras.Variable | tf.Variable) -> tf.Variable:
    """This process' own copy: to read or set it crosses no network."""
    whole = variable.value if isinstance(variable, keras.Variable) else variable
    [mine] = strategy.experimental_local_results(whole)
    return mine


def host_copy(
    strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable | tf.Variable], into: list[Array]
) -> list[Array]:
    """This process' values, in arrays that share no memory with TensorFlow.

    Args:
        into: what an earlier call returned and nobody reads any more: memory that is used again costs half of new.
    """
    # Not `.numpy()`, which would copy once more.
    views = [np.asarray(local(strategy, variable).read_value()) for variable in variables]
    if [(view.shape, view.dtype) for view in views] != [(old.shape, old.dtype) for old in into]:
        return [np.array(view) for view in views]
    for old, view in zip(into, views, strict=True):
        np.copyto(old, view)
    return into


def _held(model: keras.Model) -> list[Any]:
    """What the model has as attributes, and in their lists and dicts; so of models and the user's layers within it."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.Model) or not _is_of_keras(layer)]
    return [item for layer in layers for value in vars(layer).values() for item in _items(value)]


def _is_of_keras(layer: keras.Layer) -> bool:
    return type(layer).__module__.split(".")[0] == "keras"


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for part in value.values() for item in _items(part)]
    return [item for part in value for item in _items(part)] if isinstance(value, (list, tuple)) else [value]
