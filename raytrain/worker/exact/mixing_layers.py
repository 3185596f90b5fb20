"""Layers that set rows against each other, computed from all workers' rows.

Runs in: every Train worker, within a step. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras
has.

A minibatch's deviation, the load of experts, a scalar given to `add_loss`: what a layer makes of one worker's rows is
not what it makes of the batch. So the rows of what it is given are gathered, every worker computes it alike, and its
own rows go on; the gradients flow back to where the rows are from. That is done for layers of the user's, functions in
`Lambda` and operations of a functional model whose graph shows that they mix rows
(`raytrain.worker.exact.row_structure`), or whose results or losses are not those of single rows and could not be seen
to be right; any other layer's results are left as they are, unless `raytrain.worker.exact.ways` is told better.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src.backend import AutocastScope
from keras.src.backend.common.stateless_scope import get_stateless_scope, in_stateless_scope

from raytrain.worker.exact import current_step, row_structure, ways
from raytrain.worker.exact.gather_rows import Parts, can_be_sent
from raytrain.worker.exact.metric_pooling import is_alike, keep_alike
from raytrain.worker.exact.patching import is_of_keras, replaced
from raytrain.worker.exact.row_facts import FREE, Kind
from raytrain.worker.exact.row_structure import Given, Output, given, structure_of
from raytrain.worker.exact.ways import Choice, Reason, Way
from raytrain.worker.exact.whole_batch import row_bytes

Call = Callable[..., Any]


def call_over_rows(call: Call) -> Call:
    """Wraps `Operation.__call__`, which every layer's `call` is called by."""

    @functools.wraps(call)
    def over_rows(self: Any, *args: Any, **kwargs: Any) -> Any:
        if row_structure.is_reading():
            return _noted(call, self, args, kwargs)
        if not current_step.is_shared() or current_step.is_conditional() or not _may_mix(self):
            return call(self, *args, **kwargs)
        places = _places_of_rows(args, kwargs)
        if not places:
            return call(self, *args, **kwargs)
        choice = _choice(self, args, kwargs, places)
        if choice.way is Way.OWN_ROWS and not _has_metrics_kept_alike(self):
            return call(self, *args, **kwargs)
        return over_all_workers(self, functools.partial(call, self), args, kwargs, choice.entries_a_row)

    return over_rows


def over_all_workers(layer: Any, call: Call, args: Any, kwargs: Any, entries_a_row: tuple[int | None, ...] = ()) -> Any:
    """What a layer makes of all workers' rows: those of this worker, and what is of no row, alike on all.

    Its state, and that of the layers within it, goes on alike on every worker; what it adds to the losses is that of
    the batch.

    Args:
        entries_a_row: for each of its results, how many entries of the first axis a row has: 0 where that is no axis
            of rows. Where it is unknown, results that are as long as the rows are taken to be theirs.
    """
    leaves = tree.flatten((args, kwargs))
    places = _places_of_rows(args, kwargs)
    parts = Parts([leaves[place] for place in places])
    for place, tensor in zip(places, parts.gathered(), strict=True):
        leaves[place] = tensor
    args, kwargs = tree.pack_sequence_as((args, kwargs), leaves)
    layers = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    added = [(within, len(within._losses)) for within in layers]
    keep_alike(_variables_of(layer))
    with current_step.over_all_rows():
        outputs = call(*args, **kwargs)
    results = tree.flatten(outputs)
    per_result = [*entries_a_row, *[None] * (len(results) - len(entries_a_row))]
    own = [_own(parts, result, entries) for result, entries in zip(results, per_result, strict=False)]
    for within, before in added:
        within._losses[before:] = [_own(parts, loss, None) for loss in within._losses[before:]]
    return tree.pack_sequence_as(outputs, own)


def regularized_over_rows(call: Call) -> Call:
    """Wraps `Layer.__call__`, which divides what an activity's regularizer gives by the rows at hand."""

    @functools.wraps(call)
    def over_rows(self: Any, *args: Any, **kwargs: Any) -> Any:
        regularizer = getattr(self, "activity_regularizer", None)
        if regularizer is None or not current_step.is_shared() or current_step.is_conditional():
            return call(self, *args, **kwargs)
        with replaced(self, "activity_regularizer", _of_all_rows(regularizer)):
            return call(self, *args, **kwargs)

    return over_rows


def _of_all_rows(regularizer: Call) -> Call:
    def over_rows(output: tf.Tensor) -> Any:
        if not can_be_sent(output) or _regularizer_choice(regularizer, output).way is Way.OWN_ROWS:
            return regularizer(output)
        parts = Parts([output])
        [rows] = parts.gathered()
        with current_step.over_all_rows():
            penalty = regularizer(rows)
        here = tf.cast(tf.shape(output)[0], penalty.dtype)
        return penalty * here / tf.cast(parts.total, penalty.dtype)

    return over_rows


def _regularizer_choice(regularizer: Call, output: tf.Tensor) -> Choice:
    def decide() -> Choice:
        found = structure_of(lambda tensors: [regularizer(tensors[0])], [given(output)])
        is_sum = found is not None and found[0].fact.kind is Kind.SUM
        return Choice(
            owner=regularizer,
            way=Way.OWN_ROWS if is_sum else Way.ALL_ROWS,
            reason=Reason.STRUCTURE if is_sum else Reason.CAUTION,
            row_bytes=row_bytes([output]),
        )

    return ways.choose(regularizer, (tuple(output.shape[1:]), output.dtype), decide)


def _noted(call: Call, layer: Any, args: Any, kwargs: Any) -> Any:
    """Within what is read, a layer is taken as a whole: it is read by itself, and so are its losses."""
    if not isinstance(layer, keras.Layer):
        return call(layer, *args, **kwargs)
    losses = get_stateless_scope().losses if in_stateless_scope() else []
    before = len(losses)
    outputs = call(layer, *args, **kwargs)
    del losses[before:]
    row_structure.note_layer((args, kwargs), outputs)
    return outputs


def _may_mix(operation: Any) -> bool:
    if ways.is_overruled(operation) or not isinstance(operation, keras.Layer):
        return True
    call = type(operation).call
    if call is keras.layers.BatchNormalization.call:  # whose rows `batch_normalization` sees to
        return False
    if isinstance(operation, keras.layers.Lambda) or not is_of_keras(call):
        return True
    return 0 in tree.flatten(getattr(operation, "axis", None))


def _has_metrics_kept_alike(operation: Any) -> bool:
    """Whether a metric within has been updated from all rows, in a training step, say: then it always is."""
    metrics = operation.metrics if isinstance(operation, keras.Layer) else []
    return any(is_alike(variable) for metric in metrics for variable in metric.variables)


def _places_of_rows(args: Any, kwargs: Any) -> list[int]:
    leaves = tree.flatten((args, kwargs))
    return [place for place, leaf in enumerate(leaves) if can_be_sent(leaf) and current_step.has_rows(leaf)]


def _choice(layer: Any, args: Any, kwargs: Any, places: list[int]) -> Choice:
    leaves = tree.flatten((args, kwargs))
    described = tuple(
        (tuple(leaf.shape[1:] if place in places else leaf.shape), leaf.dtype, place in places)
        if isinstance(leaf, tf.Tensor)
        else repr(leaf)
        for place, leaf in enumerate(leaves)
    )
    return ways.choose(layer, described, lambda: _decide(layer, args, kwargs, places))


def _decide(layer: Any, args: Any, kwargs: Any, places: list[int]) -> Choice:
    leaves = tree.flatten((args, kwargs))
    tensors = [place for place, leaf in enumerate(leaves) if isinstance(leaf, tf.Tensor)]
    variables = _variables_of(layer)
    stand_ins = [given(leaves[place], has_rows=place in places) for place in tensors]
    weights = [
        Given(shape=tuple(variable.shape), dtype=tf.as_dtype(variable.dtype), fact=FREE) for variable in variables
    ]
    results = 0

    def results_and_losses(given_tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        nonlocal results
        filled = [*leaves]
        for place, tensor in zip(tensors, given_tensors, strict=False):
            filled[place] = tensor
        args_of_rows, kwargs_of_rows = tree.pack_sequence_as((args, kwargs), filled)
        mapping = list(zip(variables, given_tensors[len(tensors) :], strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope, _autocast(layer):
            outputs = tree.flatten(layer.call(*args_of_rows, **kwargs_of_rows))
        results = len(outputs)
        return [*outputs, *scope.losses]

    found = structure_of(results_and_losses, [*stand_ins, *weights])
    way, reason = _way(None if found is None else (found[:results], found[results:]))
    return Choice(
        owner=layer,
        way=way,
        reason=reason,
        entries_a_row=tuple(output.entries_a_row for output in (found or [])[:results]),
        row_bytes=row_bytes([leaves[place] for place in places]),
    )


def _way(found: tuple[list[Output], list[Output]] | None) -> tuple[Way, Reason]:
    if found is None:
        return Way.OWN_ROWS, Reason.UNDECIDED
    results, losses = found
    facts = [output.fact for output in results]
    if all(fact.kind in (Kind.FREE, Kind.ROWS) for fact in facts):
        if all(loss.fact.kind in (Kind.FREE, Kind.MEAN) or loss.is_row_by_row for loss in losses):
            return Way.OWN_ROWS, Reason.STRUCTURE
        return Way.ALL_ROWS, Reason.CAUTION
    if any(fact.kind is Kind.MIXED for fact in facts):
        return Way.ALL_ROWS, Reason.STRUCTURE
    is_of_batch = any(output.fact.kind is not Kind.FREE and output.is_of_no_row for output in results)
    if is_of_batch or any(loss.fact.kind not in (Kind.FREE, Kind.MEAN) and not loss.is_row_by_row for loss in losses):
        return Way.ALL_ROWS, Reason.CAUTION
    return Way.OWN_ROWS, Reason.UNDECIDED


def _variables_of(layer: Any) -> list[keras.Variable]:
    """Its weights, the states of random draws and of metrics, each once; an operation has none."""
    if not isinstance(layer, keras.Layer):
        return []
    return list({id(variable): variable for variable in [*layer.variables, *layer.metrics_variables]}.values())


def _autocast(layer: Any) -> Any:
    """As `Layer.__call__` casts what it computes with."""
    if isinstance(layer, keras.Layer) and layer.autocast and layer.compute_dtype != layer.variable_dtype:
        return AutocastScope(layer.compute_dtype)
    return contextlib.nullcontext()


def _own(parts: Parts, result: Any, entries_a_row: int | None) -> Any:
    if not isinstance(result, tf.Tensor) or not result.shape.rank or entries_a_row == 0:
        return result
    if entries_a_row is not None:
        return parts.own(result, entries_a_row)
    return parts.own_by_length(result)[0]
