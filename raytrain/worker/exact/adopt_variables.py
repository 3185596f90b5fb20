"""Makes what a model has come to hold outside of the strategy's scope the strategy's own, in place.

Runs in: every Train worker, before a step is traced.

A callback that compiles the model anew, as in two-phase fine-tuning, makes its optimizer and metrics as in one process.
Their variables are made again for all workers with the values that they have; the objects stay, as the callback may
hold them. What a callback makes for itself stays this process' own.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from raytrain.worker.variables import inner_optimizers, optimizers


def adopt_variables(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Every worker must call it: TensorFlow gives all of them the first one's values."""
    held = [*optimizers(model), *inner_optimizers(model)]
    variables = [*model.variables, *model.metrics_variables, *(part for each in held for part in each.variables)]
    foreign = [
        variable
        for variable in {id(variable): variable for variable in variables}.values()
        if not strategy.extended.variable_created_in_scope(variable.value)
    ]
    with strategy.scope():
        for variable in foreign:
            variable._initialize(variable.value.read_value())
    for optimizer in held:
        optimizer._distribution_strategy = strategy
        if foreign and optimizer.built:  # it knows its variables by what was theirs
            known = getattr(optimizer, "_trainable_variables", [])
            optimizer._trainable_variables_indices = {optimizer._var_key(part): i for i, part in enumerate(known)}
