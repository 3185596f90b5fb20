"""What a worker keeps as it is in a step that has no rows of its own.

Runs in: every Train worker.

It goes through the motions of the step, since the others wait for its part of every sum; what the rows that it is
handed would change stays as it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from raytrain.worker.exact.batch_normalization import synchronized_layers
from raytrain.worker.exact.metric_pooling import is_alike
from raytrain.worker.exact.metric_results import metrics_of
from raytrain.worker.exact.moving_averages import moving_statistics, note_moved
from raytrain.worker.variables import local


@contextlib.contextmanager
def kept_without_rows(model: keras.Model, strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Sets back what the block, a step without rows, has changed by them."""
    before = [(variable, local(strategy, variable).read_value()) for variable in _changed_by_rows(model)]
    yield
    for variable, value in before:
        if is_alike(variable):  # metrics that every worker computes of all rows: the step tells which
            continue
        copy = local(strategy, variable)
        note_moved(variable, copy.read_value())
        copy.assign(value)


def _changed_by_rows(model: keras.Model) -> list[keras.Variable]:
    """Metrics and moving statistics.

    The statistics of synchronised BatchNormalization are not among them, since they come from all workers' rows; nor
    is what goes on alike on every worker, whatever its rows: counters, the states of random draws, and the variables of
    layers that are not trained, which follow those that are.
    """
    shared = {id(variable) for layer in synchronized_layers(model) for variable in layer.non_trainable_variables}
    of_metrics = [variable for metric in metrics_of(model) for variable in metric.variables]
    changed = [*moving_statistics(model), *model.metrics_variables, *of_metrics]
    variables = {id(variable): variable for variable in changed}
    return [variable for key, variable in variables.items() if key not in shared]
