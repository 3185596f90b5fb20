"""Numbers that a step makes of its rows and hands to a metric: what they are over all workers' rows.

Runs in: every Train worker, within a step.

A number of a batch is a mean over its rows, unless it is seen to be a sum over them or to count them.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_reduction import sum_over_workers
from raytrain.worker.exact.row_facts import static_value

_ROWS, _SHAPE, _VARIABLE, _ALL_ROWS = "rows", "shape", "variable", "all workers' rows"
_LINEAR = {"Cast", "Identity", "Neg", "Reshape", "Squeeze", "StopGradient"}


def is_number_of_a_step(value: Any) -> bool:
    """Whether it is a tensor that has no rows: a scalar, or of another length than the rows have."""
    if not isinstance(value, tf.Tensor) or not (value.dtype.is_floating or value.dtype.is_integer):
        return False
    return value.shape.rank == 0 or (value.shape.rank is not None and not current_step.has_rows(value))


class Part(enum.Enum):
    """What a worker's number is of that over all workers' rows."""

    SAME = enum.auto()
    MEAN = enum.auto()
    SUM = enum.auto()


def over_workers(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Each number of a step over all workers' rows."""
    share = current_step.share()
    parts = [part_of(value) for value in values]
    differing = [index for index, part in enumerate(parts) if part is not Part.SAME]
    weighted = []
    for index in differing:
        value = values[index]
        mine = value * tf.cast(share, value.dtype) if parts[index] is Part.MEAN else value
        weighted.append(tf.where(share > 0, mine, tf.zeros_like(mine)))
    totals = dict(zip(differing, sum_over_workers(weighted), strict=True))
    return [totals.get(index, value) for index, value in enumerate(values)]


def part_of(value: tf.Tensor) -> Part:
    """What a number that a step has made is of that over all workers' rows.

    A whole number counts something, if it depends on the rows at all.
    """
    if not value.dtype.is_floating:
        return Part.SUM if _counts_rows(value) or _depends_on(value) & {_ROWS, _SHAPE} else Part.SAME
    return Part.SUM if _counts_rows(value) or _sums_rows(value) else Part.MEAN


def weigh_numbers(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Mean.update_state`: a number of a step without a weight counts by the worker's share.

    In steps whose rows are all known beforehand a vector is weighted as if it were one of the rows' numbers, so that
    those of another worker, which may have as many rows as the vector has entries, weigh as much.
    """

    @functools.wraps(update_state)
    def weigh(self: Any, values: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None or not current_step.is_shared():
            return update_state(self, values, sample_weight)
        values = tf.convert_to_tensor(values)
        if values.shape.rank is None or current_step.is_of_rows(values):
            return update_state(self, values, sample_weight)
        share = tf.cast(current_step.share(), self.dtype)
        if part_of(values) is Part.SUM:
            values = tf.math.divide_no_nan(tf.cast(values, self.dtype), share)
        entries, rows = values.shape[:1].num_elements(), current_step.rows_beforehand()
        weight = share * tf.ones_like(values, self.dtype)
        if values.shape.rank and entries and rows:
            weight = tf.ones_like(values, self.dtype) * rows / entries
        return update_state(self, values, weight)

    return weigh


def add_numbers(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Sum.update_state`: a mean over the rows counts by the worker's share, a sum over them as it is."""

    @functools.wraps(update_state)
    def add(self: Any, values: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None or not current_step.is_shared():
            return update_state(self, values, sample_weight)
        values = tf.convert_to_tensor(values)
        if is_number_of_a_step(values) and part_of(values) is Part.MEAN:
            values = values * tf.cast(current_step.share(), values.dtype)
        return update_state(self, values, sample_weight)

    return add


def _counts_rows(value: tf.Tensor) -> bool:
    """Whether a number comes of the rows' shape alone."""
    constant = None if tf.executing_eagerly() else static_value(value)
    if constant is not None:
        rows = current_step.rows_at_hand()
        return np.ndim(constant) == 0 and rows is not None and rows > 1 and constant == rows
    return _depends_on(value) == {_SHAPE}


def _sums_rows(value: tf.Tensor) -> bool:
    """Whether a number is what `reduce_sum` made of the rows at hand."""
    if tf.executing_eagerly():
        return False
    operation = value.op
    while operation.type in _LINEAR:
        operation = operation.inputs[0].op
    if operation.type != "Sum" or operation.inputs[0].op.type == "Pack":
        return False
    summed, axes = operation.inputs[0], tf.get_static_value(operation.inputs[1])
    if axes is None or not current_step.has_rows(summed) or _ALL_ROWS in _depends_on(summed):
        return False
    return 0 in {int(axis) % summed.shape.rank for axis in np.atleast_1d(axes)}


def _depends_on(value: tf.Tensor) -> set[str]:
    """What a number is made of, as its graph shows: nothing is known of one without."""
    if tf.executing_eagerly():
        return {_ROWS}
    found, waiting, seen = set(), [value.op], set()
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type in ("Shape", "Size"):
            found.add(_SHAPE)
        elif operation.type.startswith("Collective"):
            found.add(_ALL_ROWS)
        elif operation.type == "Placeholder":
            found.add(_VARIABLE if operation.outputs[0].dtype == tf.resource else _ROWS)
        else:
            waiting += [tensor.op for tensor in operation.inputs]
    return found
