"""Metrics of the user's own classes: their states over all workers' rows are those of one process.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

The states of the workers' metrics are summed where a result is asked for. That is right where a metric's graph shows
that its state is a sum over rows (`raytrain.worker.exact.row_structure`). Of every other, such as a running maximum or
a number a batch, every worker updates its state from what all workers have: their rows, and numbers that a step has
made of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from raytrain.worker.exact import current_step, ways
from raytrain.worker.exact.gather_rows import Parts, can_be_sent
from raytrain.worker.exact.metric_pooling import keep_alike
from raytrain.worker.exact.row_facts import Fact, Kind
from raytrain.worker.exact.row_structure import Given, given, structure_of
from raytrain.worker.exact.step_numbers import is_number_of_a_step, over_workers
from raytrain.worker.exact.ways import Choice, Reason, Way
from raytrain.worker.exact.whole_batch import row_bytes


def update_over_all_rows(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the `update_state` of a class of the user's."""

    @functools.wraps(update_state)
    def update(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not current_step.is_shared() or current_step.is_conditional():
            return update_state(self, *args, **kwargs)
        leaves = tree.flatten((args, kwargs))
        numbers = [index for index, leaf in enumerate(leaves) if is_number_of_a_step(leaf)]
        tensors = [index for index, leaf in enumerate(leaves) if tf.is_tensor(leaf) and index not in numbers]
        rows = [leaves[index] for index in tensors]
        if not all(map(can_be_sent, rows)) or not (rows or numbers):
            return update_state(self, *args, **kwargs)
        if not numbers and _choice(self, args, kwargs, tensors).way is Way.OWN_ROWS:
            return update_state(self, *args, **kwargs)
        keep_alike(self.variables)
        for index, value in zip(numbers, over_workers([leaves[index] for index in numbers]), strict=True):
            leaves[index] = value
        for index, value in zip(tensors, Parts(rows).gathered() if rows else [], strict=True):
            leaves[index] = value
        args, kwargs = tree.pack_sequence_as((args, kwargs), leaves)
        with current_step.over_all_rows():
            return update_state(self, *args, **kwargs)

    return update


def _choice(metric: keras.metrics.Metric, args: Any, kwargs: Any, tensors: list[int]) -> Choice:
    leaves = tree.flatten((args, kwargs))
    shapes = tuple((index, tuple(leaves[index].shape[1:]), leaves[index].dtype) for index in tensors)
    return ways.choose(metric, shapes, lambda: _decide(metric, args, kwargs, tensors))


def _decide(metric: keras.metrics.Metric, args: Any, kwargs: Any, tensors: list[int]) -> Choice:
    leaves = tree.flatten((args, kwargs))
    rows = [leaves[index] for index in tensors]
    states = [
        Given(
            shape=tuple(variable.shape),
            dtype=tf.as_dtype(variable.dtype),
            fact=Fact(kind=Kind.STATE, state=place),
        )
        for place, variable in enumerate(metric.variables)
    ]

    def states_after(given_tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        filled = [*leaves]
        for index, tensor in zip(tensors, given_tensors, strict=False):
            filled[index] = tensor
        args_of_rows, kwargs_of_rows = tree.pack_sequence_as((args, kwargs), filled)
        before = given_tensors[len(tensors) :]
        return metric.stateless_update_state(before, *args_of_rows, **kwargs_of_rows)  # type: ignore[no-any-return]

    found = structure_of(states_after, [*map(given, rows), *states])
    adds_up = found is not None and [output.fact for output in found] == [state.fact for state in states]
    return Choice(
        owner=metric,
        way=Way.OWN_ROWS if adds_up else Way.ALL_ROWS,
        reason=Reason.STRUCTURE if adds_up else Reason.CAUTION,
        row_bytes=row_bytes(rows),
    )
