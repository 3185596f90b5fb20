"""Losses and metrics whose numbers depend on more than one row: computed from all workers' rows, by each worker alike.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

What gives a number for each row, or the mean of such numbers, needs only the rows at hand. For a quotient of sums
(Dice) or a contrast of pairs the labels and predictions of a step cross the network, and the gradients by the
predictions come back. Keras' own functions are known. So is a function of the user's whose graph shows that it needs no
more than a row at a time (`raytrain.worker.exact.row_structure`); every other is computed from all rows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src.losses import losses

from raytrain.errors import Problem, UserCodeError
from raytrain.worker.exact import current_step, ways
from raytrain.worker.exact.gather_rows import Parts, can_be_sent
from raytrain.worker.exact.patching import is_of_keras, replaced
from raytrain.worker.exact.row_facts import Kind
from raytrain.worker.exact.row_structure import given, structure_of
from raytrain.worker.exact.ways import Choice, Reason, Way

Call = Callable[..., Any]


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
        if not current_step.is_shared() or isinstance(self._fn, keras.losses.Loss):
            return update_state(self, y_true, y_pred, sample_weight)
        with replaced(self, "_fn", _over_batch(self._fn, self, self._fn)):
            return update_state(self, y_true, y_pred, sample_weight)

    return over_batch


def row_bytes(tensors: list[tf.Tensor]) -> int | None:
    """What a row of tensors, (rows, …), has together."""
    if any(None in tensor.shape[1:] for tensor in tensors):
        return None
    return sum(math.prod(map(int, tensor.shape[1:])) * int(tensor.dtype.size) for tensor in tensors)


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
        shapes = tuple((tuple(leaf.shape[1:]), leaf.dtype) for leaf in rows)
        decide = functools.partial(_decide, functools.partial(call, **kwargs), owner, function, y_true, y_pred)
        choice = ways.choose(owner, (id(function), shapes), decide)
        if choice.way is Way.OWN_ROWS:
            return call(y_true, y_pred, **kwargs)
        if isinstance(owner, keras.losses.Loss):
            check_gradients_come_back(owner.name)
        parts = Parts(rows)
        y_true, y_pred = tree.pack_sequence_as((y_true, y_pred), parts.gathered())
        with current_step.over_all_rows():
            values = tf.convert_to_tensor(call(y_true, y_pred, **kwargs))
        return _own_part(values, parts, owner, choice.entries_a_row)

    return over_batch


def _own_part(values: tf.Tensor, parts: Parts, owner: Any, entries_a_row: tuple[int | None, ...]) -> tf.Tensor:
    """What belongs to this worker's rows; what belongs to no row is alike on all workers, and theirs together."""
    entries = next(iter(entries_a_row), None)
    if entries and values.shape.rank:
        return parts.own(values, entries)
    is_sum = getattr(owner, "reduction", None) == "sum" and values.shape.rank != 0
    share = tf.cast(current_step.share(), values.dtype)
    if entries == 0 or values.shape.rank == 0:
        return values * share if is_sum else values
    values, is_of_rows = parts.own_by_length(values)
    return values * tf.where(is_of_rows, tf.ones_like(share), share) if is_sum else values


def _decide(call: Call, owner: Any, function: Any, y_true: Any, y_pred: Any) -> Choice:
    tensors = tree.flatten((y_true, y_pred))
    size = row_bytes(tensors)
    keywords = getattr(owner, "_fn_kwargs", {})
    if is_of_keras(function) and function is losses.circle:
        return Choice(owner=owner, way=Way.ALL_ROWS, reason=Reason.OF_KERAS, entries_a_row=(1,), row_bytes=size)
    if is_of_keras(function) and not _names_the_rows(function, keywords, y_pred):
        return Choice(owner=owner, way=Way.OWN_ROWS, reason=Reason.OF_KERAS, entries_a_row=(1,), row_bytes=size)

    def function_of(leaves: list[tf.Tensor]) -> list[tf.Tensor]:
        with keras.StatelessScope():
            return [tf.convert_to_tensor(call(*tree.pack_sequence_as((y_true, y_pred), leaves)))]

    found = structure_of(function_of, [given(tensor) for tensor in tensors])
    if found is None:
        return Choice(owner=owner, way=Way.ALL_ROWS, reason=Reason.CAUTION, row_bytes=size)
    [values] = found
    own = values.is_row_by_row or (values.fact.kind is Kind.MEAN and values.dims == ((), ()))
    return Choice(
        owner=owner,
        way=Way.OWN_ROWS if own else Way.ALL_ROWS,
        reason=Reason.STRUCTURE if own or values.fact.kind is not Kind.UNKNOWN else Reason.CAUTION,
        entries_a_row=(values.entries_a_row,),
        row_bytes=size,
    )


def _function_of(loss: keras.losses.Loss) -> Any:
    """What computes its numbers: the function that Keras' own `call` wraps, or the user's `call`."""
    own = type(loss).call
    return loss.fn if own is losses.LossFunctionWrapper.call else own


def _names_the_rows(function: Any, keywords: dict[str, Any], y_pred: Any) -> bool:
    """Whether one of Keras' functions is told to work along the axis of the rows, or does so unless it is told."""
    axis = keywords.get("axis")
    if axis is None:
        return function in (losses.dice, losses.tversky)
    axes = [axis] if isinstance(axis, int) else axis
    return any(axis % y_pred.shape.rank == 0 for axis in axes)


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
