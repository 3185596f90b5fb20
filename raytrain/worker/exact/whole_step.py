"""The whole step over all workers' rows, on every worker alike: the way of last resort.

Runs in: every Train worker, within a step.

Each worker is handed the rows of all and does what one process would. It is no faster than one, and needs no knowledge
of what the step makes of its rows.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import keras
from keras import tree

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gather_rows import Parts, can_be_sent
from raytrain.worker.exact.metric_pooling import keep_alike
from raytrain.worker.exact.metric_results import metrics_of
from raytrain.worker.variables import differing

_whole: weakref.WeakSet[keras.Model] = weakref.WeakSet()


class CannotBeSent(Exception):
    """Rows of this kind cannot be handed to the other workers; says which."""


def use(model: keras.Model) -> None:
    """From the next tracing on, steps of the model are computed whole."""
    _whole.add(model)


def leave(model: keras.Model) -> None:
    """From the next tracing on, steps of the model are divided again."""
    _whole.discard(model)


@contextlib.contextmanager
def rows_of_step(model: keras.Model, data: Any) -> Iterator[Any]:
    """The rows that a step is computed from while the block, the step, runs: those at hand, or all workers'.

    Args:
        data: the rows at hand, (rows, …) each.

    Raises:
        CannotBeSent: steps are to be computed whole, and there are rows of texts.
    """
    if model not in _whole or not current_step.is_shared():
        yield data
        return
    leaves = tree.flatten(data)
    unsent = [leaf.dtype.name for leaf in leaves if not can_be_sent(leaf)]
    if unsent:
        raise CannotBeSent(f"rows of {unsent[0]}")
    gathered = tree.pack_sequence_as(data, Parts(leaves).gathered())
    with current_step.over_all_rows():
        yield gathered
    keep_alike([*differing(model), *(variable for metric in metrics_of(model) for variable in metric.variables)])
