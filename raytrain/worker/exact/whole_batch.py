"""Losses and metrics whose numbers depend on more than one row: computed from all workers' rows, by each worker alike.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

What gives a number for each row, or the mean of such numbers, needs only the rows at hand. For a quotient of sums
(Dice) or a contrast of pairs the labels and predictions of a step cross the network, and the gradients by the
predictions come back. Keras' own functions are known; those of the user's are tried
(`raytrain.worker.exact.row_dependence`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src import backend
from keras.src.losses import losses

from raytrain.errors import Problem, UserCodeError
from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_reduction import sum_over_workers, sum_with_gradient
from raytrain.worker.exact.patching import is_of_keras, replaced
from raytrain.worker.exact.row_dependence import Reach, reach_of

Call = Callable[..., Any]

_is_used = False
_tried: dict[Any, tuple[Any, Reach]] = {}


def is_used() -> bool:
    """Whether a step was found to need this. XLA cannot compile it: how many rows there are is known as it runs."""
    return _is_used


def loss_over_batch(call_loss: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Loss.__call__`."""

    @functools.wraps(call_loss)
    def over_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not current_step.is_shared():
            return call_loss(self, *args, **kwargs)
        with replaced(self, "call", _over_batch(self.call, self, _function_of(self))):
            return call_loss(self, *args, **kwargs)

    return over_batch


def own_call_over_batch(own: Call) -> Call:
    """Wraps the `__call__` of a loss of the user's that has one of its own."""

    @functools.wraps(own)
    def over_batch(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        call = functools.partial(own, self)
        if sample_weight is not None or not current_step.is_shared():
            return call(y_true, y_pred, sample_weight)
        return _over_batch(call, self, own)(y_true, y_pred)

    return over_batch


def metric_over_batch(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `MeanMetricWrapper.update_state`."""

    @functools.wraps(update_state)
    def over_batch(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        is_weighted = sample_weight is not None or backend.get_keras_mask(y_pred) is not None
        if is_weighted or not current_step.is_shared() or isinstance(self._fn, keras.losses.Loss):
            return update_state(self, y_true, y_pred, sample_weight)
        with replaced(self, "_fn", _over_batch(self._fn, self, self._fn)):
            return update_state(self, y_true, y_pred, sample_weight)

    return over_batch


def gathered(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """All workers' rows of tensors, (rows, …), one worker's after the other's by rank; gradients flow back."""
    return _Parts(tensors).gathered()


def _over_batch(call: Call, owner: Any, function: Any) -> Call:
    """`call` over all workers' rows, where rows at hand are not enough.

    Args:
        owner: the loss or metric that it belongs to.
        function: what computes the numbers in it.
    """

    def over_batch(y_true: Any, y_pred: Any, **kwargs: Any) -> Any:
        rows = tree.flatten((y_true, y_pred))
        if current_step.is_conditional() or not all(map(can_be_sent, rows)):
            return call(y_true, y_pred, **kwargs)
        reach = _reach(functools.partial(call, **kwargs), owner, function, y_true, y_pred)
        if reach in (Reach.ROW, Reach.MEAN):
            return call(y_true, y_pred, **kwargs)
        if isinstance(owner, keras.losses.Loss):
            check_gradients_come_back(owner.name)
        parts = _Parts(rows)
        y_true, y_pred = tree.pack_sequence_as((y_true, y_pred), parts.gathered())
        with current_step.over_all_rows():
            values = call(y_true, y_pred, **kwargs)
        if reach is Reach.ROWS:
            return parts.own(values)
        is_sum = getattr(owner, "reduction", None) == "sum" and values.shape.rank
        return values * tf.cast(current_step.share(), values.dtype) if is_sum else values

    return over_batch


def _reach(call: Call, owner: Any, function: Any, y_true: Any, y_pred: Any) -> Reach:
    if is_of_keras(function):
        return _known(function, getattr(owner, "_fn_kwargs", {}), y_pred)
    shapes = tuple((tuple(leaf.shape[1:]), leaf.dtype) for leaf in tree.flatten((y_true, y_pred)))
    key = (id(owner), id(function), shapes)
    if key not in _tried:
        _tried[key] = owner, reach_of(call, y_true, y_pred)
    return _tried[key][1]


def _function_of(loss: keras.losses.Loss) -> Any:
    """What computes its numbers: the function that Keras' own `call` wraps, or the user's `call`."""
    own = type(loss).call
    return loss.fn if own is losses.LossFunctionWrapper.call else own


def _known(function: Any, keywords: dict[str, Any], y_pred: Any) -> Reach:
    if function is losses.circle:
        return Reach.ROWS
    if function not in (losses.dice, losses.tversky):
        return Reach.ROW
    axis = keywords.get("axis")
    axes = [axis] if isinstance(axis, int) else axis
    adds_up_rows = axes is None or any(axis % y_pred.shape.rank == 0 for axis in axes)
    return Reach.BATCH if adds_up_rows else Reach.ROW


def can_be_sent(leaf: Any) -> bool:
    """Whether it has rows, and of numbers."""
    if not isinstance(leaf, tf.Tensor) or not leaf.shape.rank:
        return False
    return bool(leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool)


def check_gradients_come_back(name: str) -> None:
    """Refuses what TensorFlow would train without, in silence: it has no gradient of a collective there.

    Raises:
        UserCodeError: the loss stands in a `tf.function` of a step that is run eagerly.
    """
    if current_step.is_nested_in_eager():
        raise UserCodeError(
            Problem(
                got=f"the loss {name}, which is of a whole batch, in a tf.function of a step that is run eagerly",
                expected="a step of one kind, with several workers",
                fix="leave out run_eagerly, or the tf.function",
            )
        )


class _Parts:
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
        return tf.ensure_shape(padded, [current_step.length_over_all_rows(tensor), *tensor.shape[1:]])
