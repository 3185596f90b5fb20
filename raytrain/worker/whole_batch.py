"""Losses and metrics of a whole batch: one number for all its rows, or rows set against each other.

Runs in: every Train worker. `raytrain.worker.mending` puts these in the place of what Keras has.

What gives a number for each row needs only the rows at hand. A number for a batch may be anything: a mean over rows, a
quotient of two sums (Dice), a contrast of pairs. So it is computed from all workers' rows, by each worker alike; for
that the labels and predictions of a step cross the network, and the gradients by the predictions come back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import tree
from keras.src import backend
from keras.src.losses import losses

from raytrain.worker import this_step
from raytrain.worker.reduction import sum_over_workers, sum_with_gradient

Call = Callable[..., Any]

_is_used = False


def is_used() -> bool:
    """Whether a step was found to need this. XLA cannot compile it: how many rows there are is known as it runs."""
    return _is_used


def loss_over_batch(call_loss: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Loss.__call__`."""

    @functools.wraps(call_loss)
    def over_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not this_step.is_shared():
            return call_loss(self, *args, **kwargs)
        self.call = _over_batch(self.call, self)
        try:
            return call_loss(self, *args, **kwargs)
        finally:
            del self.call

    return over_batch


def metric_over_batch(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `MeanMetricWrapper.update_state`."""

    @functools.wraps(update_state)
    def over_batch(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        is_weighted = sample_weight is not None or backend.get_keras_mask(y_pred) is not None
        if is_weighted or not this_step.is_shared():
            return update_state(self, y_true, y_pred, sample_weight)
        function = self._fn
        self._fn = _over_batch(function, self)
        try:
            return update_state(self, y_true, y_pred, sample_weight)
        finally:
            self._fn = function

    return over_batch


def _over_batch(call: Call, owner: Any) -> Call:
    """`call` over all workers' rows, if what it gives is no number for each row.

    Args:
        owner: the loss or metric whose function it is.
    """
    function = getattr(owner, "fn", getattr(owner, "_fn", owner))
    keywords = getattr(owner, "_fn_kwargs", {})

    def over_batch(y_true: Any, y_pred: Any, **kwargs: Any) -> Any:
        if _is_of_keras(function):
            is_of_batch = function is losses.circle or _adds_up_rows(function, keywords, y_pred)
        else:
            values = call(y_true, y_pred, **kwargs)
            is_of_batch = tf.convert_to_tensor(values).shape.rank == 0
            if not is_of_batch:
                return values
        rows = tree.flatten((y_true, y_pred))
        if not is_of_batch or not all(map(_can_be_sent, rows)):
            return call(y_true, y_pred, **kwargs)
        global _is_used
        _is_used = True
        parts = _Parts(rows)
        y_true, y_pred = tree.pack_sequence_as((y_true, y_pred), parts.gathered())
        with this_step.over_all_rows():
            values = call(y_true, y_pred, **kwargs)
        if function is losses.circle:
            return parts.own(values)
        is_sum = getattr(owner, "reduction", None) == "sum" and values.shape.rank
        return values * tf.cast(this_step.share(), values.dtype) if is_sum else values

    return over_batch


class _Parts:
    """The workers' parts of some tensors, each (rows, …), one after the other by rank."""

    def __init__(self, tensors: list[tf.Tensor]) -> None:
        strategy = tf.distribute.get_strategy()
        workers, rank = strategy.num_replicas_in_sync, strategy.cluster_resolver.task_id
        self._tensors = tensors
        self._own = tf.stack([tf.shape(tensor)[0] for tensor in tensors]) * tf.cast(this_step.share() > 0, tf.int32)
        counts = self._own[:, None] * tf.one_hot(rank, workers, dtype=tf.int32)[None, :]
        [counts] = sum_over_workers([counts])  # (tensors, workers)
        self._before = tf.reduce_sum(counts[:, :rank], axis=1)
        self._after = tf.reduce_sum(counts[:, rank + 1 :], axis=1)

    def gathered(self) -> list[tf.Tensor]:
        """Each tensor with all workers' rows; gradients flow back to where the rows are from."""
        padded = [self._padded(index) for index in range(len(self._tensors))]
        floating = [index for index, tensor in enumerate(padded) if tensor.dtype.is_floating]
        whole = [index for index, tensor in enumerate(padded) if not tensor.dtype.is_floating]
        sums = sum_with_gradient(*(padded[index] for index in floating)) if floating else []
        summed = dict(zip(floating, sums, strict=True))
        numbers = sum_over_workers([tf.cast(padded[index], tf.int64) for index in whole])
        summed |= {index: tf.cast(value, padded[index].dtype) for index, value in zip(whole, numbers, strict=True)}
        return [summed[index] for index in range(len(padded))]

    def own(self, values: tf.Tensor) -> tf.Tensor:
        """This worker's rows of values for all rows, with their mask."""
        first = self._before[-1]
        mine = values[first : first + tf.shape(self._tensors[-1])[0]]
        mask = backend.get_keras_mask(values)
        if mask is not None:
            backend.set_keras_mask(mine, mask[first : first + tf.shape(self._tensors[-1])[0]])
        return mine

    def _padded(self, index: int) -> tf.Tensor:
        tensor = self._tensors[index]
        ends = tf.stack([self._before[index], self._after[index]])
        paddings = tf.pad(ends[None, :], [[0, tensor.shape.rank - 1], [0, 0]])
        padded = tf.pad(tensor[: self._own[index]], paddings)
        return tf.ensure_shape(padded, [None, *tensor.shape[1:]])


def _can_be_sent(leaf: Any) -> bool:
    """Whether it has rows, and of numbers."""
    if not isinstance(leaf, tf.Tensor) or not leaf.shape.rank:
        return False
    return bool(leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool)


def _is_of_keras(function: Any) -> bool:
    module = getattr(function, "__module__", None) or type(function).__module__
    return str(module).split(".")[0] == "keras"


def _adds_up_rows(function: Any, keywords: dict[str, Any], y_pred: Any) -> bool:
    if function not in (losses.dice, losses.tversky):
        return False
    axis = keywords.get("axis")
    axes = [axis] if isinstance(axis, int) else axis
    return axes is None or any(axis % y_pred.shape.rank == 0 for axis in axes)
