"""Metrics of the user's own classes whose states do not add up: a running maximum, a number a batch.

Runs in: every Train worker. `raytrain.worker.exact.keras_patches` puts these in the place of what Keras has.

The states of the workers' metrics are summed where a result is asked for. Where that would not be the state of one
process, which is tried (`raytrain.worker.exact.row_dependence`), every worker updates its state from all workers' rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import tree

from raytrain.worker.exact import current_step
from raytrain.worker.exact.metric_pooling import keep_alike
from raytrain.worker.exact.row_dependence import adds_up
from raytrain.worker.exact.whole_batch import can_be_sent, gathered

_tried: dict[Any, tuple[keras.metrics.Metric, bool]] = {}


def update_over_all_rows(update_state: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the `update_state` of a class of the user's."""

    @functools.wraps(update_state)
    def update(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not current_step.is_shared() or current_step.is_conditional():
            return update_state(self, *args, **kwargs)
        leaves = tree.flatten((args, kwargs))
        rows = [leaf for leaf in leaves if leaf is not None]
        if not rows or not all(map(can_be_sent, rows)) or _adds_up(self, args, kwargs):
            return update_state(self, *args, **kwargs)
        keep_alike(self.variables)
        sent = iter(gathered(rows))
        all_rows = [None if leaf is None else next(sent) for leaf in leaves]
        args, kwargs = tree.pack_sequence_as((args, kwargs), all_rows)
        with current_step.over_all_rows():
            return update_state(self, *args, **kwargs)

    return update


def _adds_up(metric: keras.metrics.Metric, args: Any, kwargs: Any) -> bool:
    leaves = tree.flatten((args, kwargs))
    shapes = tuple(None if leaf is None else (tuple(leaf.shape[1:]), leaf.dtype) for leaf in leaves)
    key = (id(metric), shapes)
    if key not in _tried:
        labels = len(tree.flatten(args[0])) if args else 0
        kept = [index for index, leaf in enumerate(leaves) if leaf is not None]

        def pack(y_true: list[Any], others: list[Any]) -> Any:
            filled: list[Any] = [None] * len(leaves)
            for index, leaf in zip(kept, [*y_true, *others], strict=True):
                filled[index] = leaf
            return tree.pack_sequence_as((args, kwargs), filled)

        y_true = [leaf for leaf in leaves[:labels] if leaf is not None]
        others = [leaf for leaf in leaves[labels:] if leaf is not None]
        _tried[key] = metric, adds_up(metric, y_true, others, pack)
    return _tried[key][1]
