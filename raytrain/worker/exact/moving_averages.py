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

_moved: dict[int, tuple[keras.Variable, tf.Tensor]] = {}


def note_moved(variable: keras.Variable, value: tf.Tensor) -> None:
    """What a step without rows of this worker's would have made of a variable that is set back."""
    _moved[id(variable)] = variable, value


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
        _moved.clear()

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

        So does one that would be equal on all, had those without rows of the last batch not set it back: it does not
        hang on the rows.
        """
        if not variables:
            return

        def flat(values: Sequence[tf.Tensor]) -> tf.Tensor:
            return tf.concat([tf.reshape(tf.cast(value, dtype), [-1]) for value in values], axis=0)

        local = flat([variable.value for variable in variables])
        chief = sum_vector(self._strategy, local if self._rank == 0 else tf.zeros_like(local))
        difference = tf.where(local == chief, tf.zeros_like(local), local - chief)  # infinities that agree differ by 0
        mean = chief + sum_vector(self._strategy, difference * self._share)
        if self._last_ranks < self._strategy.num_replicas_in_sync:
            moved = flat([_moved.get(id(variable), (variable, variable.value))[1] for variable in variables])
            apart = tf.cast(moved != chief, dtype) if self._share > 0 else tf.zeros_like(local)
            mean = tf.where(sum_vector(self._strategy, apart) == 0, chief, mean)
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
