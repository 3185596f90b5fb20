"""Keeps the moving statistics that layers gather (BatchNormalization's, say) equal on all workers.

Runs in: every Train worker, once an epoch, before validation and before a checkpoint.

Each worker moves its own averages by its own slices. They are linear in what they average, so their mean over the
workers, weighted by rows, is the average that would have been moved by the mean of the slices' statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from raytrain.worker.strategy import sum_vector


class StatisticsHook(keras.callbacks.Callback):  # type: ignore[misc]
    """Stands first among the callbacks, so that validation and every other callback see statistics that agree.

    Args:
        share: this worker's part of the epoch's rows.
        last_ranks: how many ranks, the first ones, have rows of the epoch's last batch.
    """

    def __init__(self, strategy: tf.distribute.Strategy, *, share: float, rank: int, last_ranks: int) -> None:
        super().__init__()
        self._strategy = strategy
        self._share = share
        self._rank = rank
        self._last_ranks = last_ranks
        self._agree = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._agree = False

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.average()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.average()

    def average(self) -> None:
        """Makes the statistics agree, once an epoch."""
        if self._agree or self._strategy.num_replicas_in_sync == 1:
            return
        statistics = moving_statistics(self.model)
        self._average([variable for variable in statistics if variable.dtype != "float64"], tf.float32)
        self._average([variable for variable in statistics if variable.dtype == "float64"], tf.float64)
        self._agree = True

    def _average(self, variables: Sequence[keras.Variable], dtype: tf.DType) -> None:
        """Sets each to its mean over the workers; one that is equal on all keeps its value to the bit.

        So does one that is equal on all who have rows of the last batch: it does not hang on the rows, and the others
        have not moved it then.
        """
        if not variables:
            return
        local = tf.concat([tf.reshape(tf.cast(variable.value, dtype), [-1]) for variable in variables], axis=0)
        chief = sum_vector(self._strategy, local if self._rank == 0 else tf.zeros_like(local))
        difference = tf.where(local == chief, tf.zeros_like(local), local - chief)  # infinities that agree differ by 0
        mean = chief + sum_vector(self._strategy, difference * self._share)
        if 1 < self._last_ranks < self._strategy.num_replicas_in_sync:
            has_rows = tf.cast(self._rank < self._last_ranks, dtype)
            apart = sum_vector(self._strategy, tf.cast(difference != 0, dtype) * has_rows)
            mean = tf.where(apart == 0, chief, mean)
        sizes = [int(variable.value.shape.num_elements()) for variable in variables]
        for variable, part in zip(variables, tf.split(mean, sizes), strict=True):
            variable.assign(tf.cast(tf.reshape(part, variable.shape), variable.dtype))


def moving_statistics(model: keras.Model) -> list[keras.Variable]:
    """What layers that are being trained change without a gradient: floating-point, and no metric's."""
    metrics = {id(variable) for variable in model.metrics_variables}
    found = {
        id(variable): variable
        for layer in model._flatten_layers()
        if layer.trainable
        for variable in layer._non_trainable_variables
        if keras.backend.is_float_dtype(variable.dtype) and id(variable) not in metrics
    }
    return list(found.values())
