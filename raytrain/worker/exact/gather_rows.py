"""All workers' rows of a step's tensors, on each worker alike.

Runs in: every Train worker, within a step.

The rows cross the network, and the gradients by them come back.
"""

from __future__ import annotations

import tensorflow as tf
from keras.src import backend

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_reduction import sum_over_workers, sum_with_gradient

_is_used = False


def is_used() -> bool:
    """Whether a step was found to need this. XLA cannot compile it: how many rows there are is known as it runs."""
    return _is_used


def can_be_sent(leaf: object) -> bool:
    """Whether it has rows, and of numbers."""
    if not isinstance(leaf, tf.Tensor) or not leaf.shape.rank:
        return False
    return bool(leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool)


class Parts:
    """The workers' parts of some tensors, each (rows, …), one after the other by rank."""

    def __init__(self, tensors: list[tf.Tensor]) -> None:
        global _is_used
        _is_used = True
        strategy = tf.distribute.get_strategy()
        workers, rank = strategy.num_replicas_in_sync, strategy.cluster_resolver.task_id
        self._tensors = tensors
        self._own = tf.stack([tf.shape(tensor)[0] for tensor in tensors]) * tf.cast(current_step.share() > 0, tf.int32)
        counts = self._own[:, None] * tf.one_hot(rank, workers, dtype=tf.int32)[None, :]
        [counts] = sum_over_workers([counts])  # (tensors, workers)
        self._before = tf.reduce_sum(counts[:, :rank], axis=1)
        self._after = tf.reduce_sum(counts[:, rank + 1 :], axis=1)

    @property
    def total(self) -> tf.Tensor:
        """How many rows the last of the tensors has over all workers."""
        return self._before[-1] + self._own[-1] + self._after[-1]

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

    def own(self, values: tf.Tensor, entries_a_row: int = 1) -> tf.Tensor:
        """This worker's part, with its mask, of values that have entries for each row of the last tensor.

        A worker without rows, which has one to go through the motions with, gets as many of another's.
        """
        rows = tf.shape(self._tensors[-1])[0]
        first = tf.minimum(self._before[-1], self.total - rows) * entries_a_row
        return self._part(values, first, first + rows * entries_a_row)

    def own_by_length(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Likewise where there turn out to be as many values as rows, else all of them; and whether there are."""
        is_of_rows = tf.equal(tf.shape(values)[0], self.total)
        rows = tf.shape(self._tensors[-1])[0]
        first = tf.where(is_of_rows, tf.minimum(self._before[-1], self.total - rows), 0)
        return self._part(values, first, tf.where(is_of_rows, first + rows, tf.shape(values)[0])), is_of_rows

    @staticmethod
    def _part(values: tf.Tensor, first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        mine, mask = values[first:end], backend.get_keras_mask(values)
        if mask is not None:
            backend.set_keras_mask(mine, mask[first:end])
        return mine

    def _padded(self, index: int) -> tf.Tensor:
        tensor = self._tensors[index]
        ends = tf.stack([self._before[index], self._after[index]])
        paddings = tf.pad(ends[None, :], [[0, tensor.shape.rank - 1], [0, 0]])
        padded = tf.pad(tensor[: self._own[index]], paddings)
        return tf.ensure_shape(padded, [current_step.length_over_all_rows(tensor), *tensor.shape[1:]])
