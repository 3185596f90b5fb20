"""Gradients by the model's weights, summed over the workers as soon as a step has them.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

Whatever a step makes of a gradient (clipping, adding up over steps, a second pass from where the first one points, an
optimizer of the user's) it makes of the gradient of the global batch, so a tape gives that one. What no tape gave, such
as a gradient worked out by hand, is summed where an optimizer takes it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import keras
import tensorflow as tf
from keras.src.backend import AutocastScope
from tensorflow.python.eager import record

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_reduction import sum_over_workers
from raytrain.worker.exact.sparse_lookups import Part, parts_of

_within: list[bool] = []
_watching: list[list[Taken]] = []
# The variables whose gradient, the last time that a tape was asked for it, was summed by then.
_summed: WeakValueDictionary[int, tf.Variable] = WeakValueDictionary()


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What an optimizer was handed for a variable of the model."""

    variable: tf.Variable
    gradient: Any


@contextlib.contextmanager
def taken(into: list[Taken]) -> Iterator[None]:
    """Notes what optimizers are handed while the block, a step, runs: gradients of the global batch.

    What is handed within a condition or a `tf.function` of the user's cannot be noted.
    """
    _watching.append(into)
    try:
        yield
    finally:
        _watching.pop()


def gradient_over_workers(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `GradientTape.gradient`: by weights it gives the gradient of the global mean, on every worker.

    A gradient within another that is being taken or recorded is left alone: what is computed again in a backward pass
    is a part of the outer one, and an inner one may be of a single row (MAML). So is one in a condition or a loop, to
    which not every worker need come; it is summed where the optimizer takes it.
    """

    @functools.wraps(gradient)
    def over_workers(
        self: Any,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = tf.UnconnectedGradients.NONE,
    ) -> Any:
        by_weights = [index for index, source in enumerate(tf.nest.flatten(sources)) if _is_weight(source)]
        if _within or not by_weights or not current_step.is_shared():
            return gradient(self, target, sources, output_gradients, unconnected_gradients)
        if output_gradients is None and len(by_weights) == len(tf.nest.flatten(sources)):
            output_gradients = _over_rows(target)
        _within.append(True)
        try:
            found = gradient(self, target, sources, output_gradients, unconnected_gradients)
        finally:
            _within.pop()
        is_left = current_step.is_conditional() or _is_recorded(self)
        _note([tf.nest.flatten(sources)[index] for index in by_weights], are_summed=not is_left)
        return found if is_left else _with_sums(found, by_weights)

    return over_workers


def summed_before_apply(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps an optimizer's `apply`: the outermost one of a step sums what is not yet summed.

    Outermost, because on the way in Keras clips, accumulates and checks for finiteness, and the user's own class does
    what it likes, and each of these must see the gradient of the global batch.
    """

    @functools.wraps(apply)
    def sum_then_apply(self: Any, grads: Sequence[Any], trainable_variables: Any = None, *args: Any, **kw: Any) -> Any:
        if _within or not (current_step.is_shared() or _watching):
            return apply(self, grads, trainable_variables, *args, **kw)
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        given = variables if trainable_variables is not None else None
        totals = _summed_for(list(grads), variables) if current_step.is_shared() else list(grads)
        _within.append(True)
        try:
            if _watching and not (current_step.is_conditional() or current_step.is_nested()):
                pairs = zip(variables, totals, strict=True)
                _watching[-1].extend(Taken(variable=behind(variable), gradient=grad) for variable, grad in pairs)
            return apply(self, totals, given, *args, **kw)
        finally:
            _within.pop()

    return sum_then_apply


def summed_before_apply_gradients(apply_gradients: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the `apply_gradients` of a class of the user's, likewise."""

    @functools.wraps(apply_gradients)
    def sum_then_apply(self: Any, grads_and_vars: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        def apply(_: Any, grads: list[Any], variables: list[Any]) -> Any:
            return apply_gradients(self, list(zip(grads, variables, strict=True)), *args, **kwargs)

        pairs = list(grads_and_vars)
        return summed_before_apply(apply)(self, [grad for grad, _ in pairs], [variable for _, variable in pairs])

    return sum_then_apply


def reduce_gradients(grads: list[Any], share: tf.Tensor) -> list[Any]:
    """The gradients of the global mean; None stays None, and embeddings' sparse gradients stay sparse."""
    weighted = [None if grad is None else _weigh(grad, share) for grad in grads]
    parts = {index: parts_of(grad) for index, grad in enumerate(weighted) if isinstance(grad, tf.IndexedSlices)}
    shared = [part.slices.values for found in parts.values() for part in found if part.is_shared]
    dense = [index for index, grad in enumerate(weighted) if isinstance(grad, tf.Tensor)]
    totals = iter(sum_over_workers([*(weighted[index] for index in dense), *shared]))
    reduced = list(weighted)
    for index in dense:
        reduced[index] = next(totals)
    for index, found in parts.items():
        reduced[index] = _put_together([_summed_slots(part, totals) for part in found])
    return reduced


def _summed_slots(part: Part, totals: Iterator[tf.Tensor]) -> tf.IndexedSlices:
    """A part of a sparse gradient over all workers: the sum of their slots, or one worker's after the other's."""
    if part.is_shared:
        return tf.IndexedSlices(next(totals), part.slices.indices, part.slices.dense_shape)
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, part.slices)


def _put_together(parts: list[tf.IndexedSlices]) -> tf.IndexedSlices:
    if len(parts) == 1:
        return parts[0]
    values, indices = tf.concat([part.values for part in parts], 0), tf.concat([part.indices for part in parts], 0)
    return tf.IndexedSlices(values, indices, parts[0].dense_shape)


def _is_weight(source: Any) -> bool:
    return isinstance(source, (tf.Variable, keras.Variable))


def _over_rows(target: Any) -> Any:
    """What a loss that has a number for each row is multiplied with: those of all rows are added up, not averaged.

    What is weighted by the share later on is divided by it here.
    """
    targets = tf.nest.flatten(target)
    if not any(map(current_step.is_of_rows, targets)):
        return None
    weights = [_weight_of_rows(value) if current_step.is_of_rows(value) else tf.ones_like(value) for value in targets]
    return tf.nest.pack_sequence_as(target, weights)


def _weight_of_rows(value: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.ones_like(value), tf.cast(current_step.share(), value.dtype))


def _is_recorded(tape: tf.GradientTape) -> bool:
    """Whether a gradient is going to be taken of this one, by another tape."""
    if not tape._recording:
        return bool(record.could_possibly_record())
    with tape.stop_recording():
        return bool(record.could_possibly_record())


def _note(variables: list[Any], *, are_summed: bool) -> None:
    for variable in map(behind, variables):
        if are_summed:
            _summed[id(variable)] = variable
        else:
            _summed.pop(id(variable), None)


def behind(variable: keras.Variable | tf.Variable) -> tf.Variable:
    """TensorFlow's own variable, whatever precision is computed in."""
    with AutocastScope(None):
        return variable.value if isinstance(variable, keras.Variable) else variable


def _with_sums(found: Any, indices: list[int]) -> Any:
    grads = tf.nest.flatten(found)
    totals = reduce_gradients([grads[index] for index in indices], current_step.share())
    for index, total in zip(indices, totals, strict=True):
        grads[index] = total
    return tf.nest.pack_sequence_as(found, grads)


def _summed_for(grads: list[Any], variables: list[Any]) -> list[Any]:
    """The gradients, those summed that no tape has summed."""
    missing = [index for index, variable in enumerate(variables) if id(behind(variable)) not in _summed]
    totals = reduce_gradients([grads[index] for index in missing], current_step.share()) if missing else []
    for index, total in zip(missing, totals, strict=True):
        grads[index] = total
    return grads


def _weigh(grad: Any, share: tf.Tensor) -> Any:
    if isinstance(grad, tf.IndexedSlices):
        return tf.IndexedSlices(_weigh(grad.values, share), grad.indices, grad.dense_shape)
    grad = tf.convert_to_tensor(grad)
    return tf.math.multiply_no_nan(grad, tf.cast(share, grad.dtype))
