"""Makes every quantity of a step that is a mean over a batch the mean over the *global* batch.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

A worker's share is its part of the global batch's rows. The user's file is code for one process: whatever it computes
as a mean over the rows it is handed is weighted by the share and summed over the workers, which is the mean over all
rows. That holds for gradients and for scalars given to a `Mean`. What is no mean over rows is corrected by what it
divides by (masked losses, `reduction="sum"`, `mean_with_sample_weight`), so that the share-weighted sum comes out right
for it too. A worker that has no rows of a batch goes through the motions with a share of 0 and adds nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.losses.loss import standardize_reduction

from raytrain.worker.collectives import uses_nccl
from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_packs import packs

_PASS_BYTES = 512 * 2**10


def sum_over_workers(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Each value summed over the workers, inside a step; as few collectives as fit in packs of one dtype."""
    summed: dict[int, tf.Tensor] = {}
    for pack in packs([value.dtype for value in values], [_bytes(value) for value in values]):
        flat = [tf.reshape(values[index], [-1]) for index in pack]
        total = _sum_vector(tf.concat(flat, axis=0))
        parts = tf.split(total, [tf.size(part) for part in flat], num=len(flat))
        for index, part in zip(pack, parts, strict=True):
            summed[index] = tf.ensure_shape(tf.reshape(part, tf.shape(values[index])), values[index].shape)
    return [summed[index] for index in range(len(values))]


def takes_one_pass(*, workers: int, size_bytes: int) -> bool:
    """Whether a vector is summed sooner where every worker gets all the others' and adds them up itself.

    TensorFlow's ring goes round twice, 2 (workers - 1) messages one after the other of size / workers each; a gather
    goes round once, with the whole size each time. It pays as long as the way of a message costs more than what it
    carries: measured between two processes of one machine, 150 KB take two thirds of the ring's time, 1 MB as long
    and 4 MB twice as long.
    """
    return (workers - 1) * size_bytes <= _PASS_BYTES


def _sum_vector(vector: tf.Tensor) -> tf.Tensor:
    """A vector's sum over the workers, the same to the bit on all of them."""
    context = tf.distribute.get_replica_context()
    workers, length = context.num_replicas_in_sync, vector.shape.num_elements()
    # NCCL knows better, and TensorFlow gathers no bfloat16.
    cannot = uses_nccl(context.strategy) or vector.dtype == tf.bfloat16
    if tf.executing_eagerly() or cannot or length is None:
        return context.all_reduce(tf.distribute.ReduceOp.SUM, vector)
    if not takes_one_pass(workers=workers, size_bytes=length * vector.dtype.size):
        return context.all_reduce(tf.distribute.ReduceOp.SUM, vector)
    # `ReplicaContext.all_gather` asks for the lengths first, which would be a second collective.
    launcher = context.strategy.extended._cross_device_ops._launchers[0]
    gathered = launcher._all_gather(vector[None], None)  # (workers, length), by rank
    return tf.add_n(tf.unstack(gathered, num=workers))


def added_over_rows(aggregate: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Trainer._aggregate_additional_loss`, which adds up what `add_loss` was given for each row."""

    @functools.wraps(aggregate)
    def add_up(self: Any, loss: Any) -> Any:
        total = aggregate(self, loss)
        if not current_step.is_divided() or not current_step.is_of_rows(loss):
            return total
        return tf.math.divide_no_nan(total, tf.cast(current_step.share(), total.dtype))

    return add_up


def valid_over_workers(apply_mask: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `losses.loss.apply_mask`, which divides a masked loss by the valid entries of the slice at hand."""

    @functools.wraps(apply_mask)
    def count_all(sample_weight: Any, mask: Any, dtype: Any, reduction: Any) -> Any:
        result = apply_mask(sample_weight, mask, dtype, reduction)
        if mask is None or not current_step.is_shared() or reduction not in ("mean", "sum_over_batch_size"):
            return result
        total = tf.cast(tf.size(mask), tf.float32)
        valid = tf.reduce_sum(tf.cast(mask, tf.float32))
        all_total, all_valid = sum_over_workers([total * _has_rows(), valid * _has_rows()])
        correction = tf.math.divide_no_nan(all_total * valid, all_valid * total)
        return result * tf.cast(correction, result.dtype)

    return count_all


def divide_over_workers(reduce_values: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `losses.loss.reduce_values` for the two reductions that are no mean over rows."""

    @functools.wraps(reduce_values)
    def divide(values: Any, sample_weight: Any = None, reduction: Any = "sum_over_batch_size") -> Any:
        loss = reduce_values(values, sample_weight, reduction)
        reduction = standardize_reduction(reduction)
        if not current_step.is_shared() or values.shape.rank == 0:
            return loss
        share = tf.cast(current_step.share(), loss.dtype)
        if reduction == "sum":
            return tf.math.divide_no_nan(loss, share)
        if reduction == "mean_with_sample_weight" and sample_weight is not None:
            weight = tf.reduce_sum(tf.cast(sample_weight, loss.dtype))
            [all_weight] = sum_over_workers([weight * tf.cast(_has_rows(), loss.dtype)])
            return loss * tf.math.divide_no_nan(weight, all_weight * share)
        return loss

    return divide


def moments_over_workers(inputs: tf.Tensor, axes: Any, keepdims: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance over the global batch, for synchronised BatchNormalization.

    Replaces `nn._compute_moments_sync`, which gives a worker without rows a voice and takes the variance as the
    difference of two large numbers. Here the workers' squared distances are added up (Chan, Golub and LeVeque 1979).
    """
    if not current_step.is_shared():
        mean, variance = tf.nn.moments(inputs, axes, keepdims=True)
    else:
        count = tf.cast(tf.size(inputs) / tf.size(tf.reduce_sum(inputs, axes)), inputs.dtype)
        count *= tf.cast(_has_rows(), inputs.dtype)
        local_mean, local_variance = tf.nn.moments(inputs, axes, keepdims=True)
        all_count, total = sum_with_gradient(count, local_mean * count)
        mean = total / all_count
        distance = (local_variance + tf.square(local_mean - mean)) * count
        [all_distance] = sum_with_gradient(distance)
        variance = all_distance / all_count
    if keepdims:
        return mean, variance
    return tf.squeeze(mean, axes), tf.squeeze(variance, axes)


def masked_moments_over_workers(moments: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `BatchNormalization._moments`, which with a mask forgets to synchronise: over the global batch's valid
    entries.
    """

    @functools.wraps(moments)
    def over_workers(self: Any, inputs: tf.Tensor, mask: Any) -> Any:
        if mask is None or not self.synchronized or not current_step.is_shared():
            return moments(self, inputs, mask)
        valid = tf.broadcast_to(tf.cast(mask, tf.bool)[..., None], tf.shape(inputs))
        has_rows = tf.cast(_has_rows(), inputs.dtype)

        def total(values: tf.Tensor) -> tf.Tensor:
            return sum_with_gradient(tf.reduce_sum(values, self._reduction_axes, keepdims=True) * has_rows)[0]

        count = total(tf.cast(valid, inputs.dtype)) + keras.config.epsilon()
        mean = total(tf.where(valid, inputs, tf.zeros_like(inputs))) / count
        variance = total(tf.where(valid, tf.square(inputs - mean), tf.zeros_like(inputs))) / count
        return tf.squeeze(mean), tf.squeeze(variance)

    return over_workers


@tf.custom_gradient  # type: ignore[untyped-decorator]
def sum_with_gradient(*values: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[tf.Tensor]]]:
    """Sums over the workers through which gradients flow.

    Every worker's loss depends on them, each with that worker's share of the global loss; and what arrives here is
    weighted by this worker's share later on, with the rest of its gradient.
    """
    share = current_step.share()

    def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
        totals = sum_over_workers([tf.math.multiply_no_nan(part, tf.cast(share, part.dtype)) for part in upstream])
        return [tf.math.divide_no_nan(total, tf.cast(share, total.dtype)) for total in totals]

    return sum_over_workers(values), gradient


def pool_logs(logs: dict[str, Any], own: set[str]) -> dict[str, Any]:
    """A step's logs, those named in `own`, which are no metric's, being means over the global batch where scalars."""
    names = [name for name, value in logs.items() if name in own and _is_float_scalar(value)]
    share = current_step.share()
    weighted = [tf.math.multiply_no_nan(logs[name], tf.cast(share, logs[name].dtype)) for name in names]
    return logs | dict(zip(names, sum_over_workers(weighted), strict=True))


def _is_float_scalar(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype.is_floating and value.shape.rank == 0


def _bytes(value: tf.Tensor) -> int | None:
    length = value.shape.num_elements()
    return None if length is None else length * value.dtype.size


def _has_rows() -> tf.Tensor:
    """1.0, or 0.0 where this worker has no rows of the batch."""
    return tf.cast(current_step.share() > 0, tf.float32)
