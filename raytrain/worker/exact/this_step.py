"""The step that is being traced or run, and this worker's share of its rows.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_shares: list[tf.Tensor] = []
_rows: list[int | None] = []
_over_all_rows: list[bool] = []


@contextlib.contextmanager
def of_share(share: tf.Tensor, *, rows: int | None = None) -> Iterator[None]:
    """Marks a step, while it is traced or run, of a worker with `share` (a float32 scalar) of the rows.

    Args:
        rows: how many are at hand; None where that differs from step to step.
    """
    _shares.append(share)
    _rows.append(rows)
    try:
        yield
    finally:
        _shares.pop()
        _rows.pop()


@contextlib.contextmanager
def over_all_rows() -> Iterator[None]:
    """Marks what every worker computes alike, from all workers' rows, as one process would."""
    _over_all_rows.append(True)
    try:
        yield
    finally:
        _over_all_rows.pop()


def has_own_rows() -> bool:
    """Whether a step is being traced or run, and what is computed is of the rows at hand."""
    return bool(_shares) and not _over_all_rows


def is_shared() -> bool:
    """Whether the rows at hand are a part of those of a step that is being traced or run."""
    return has_own_rows() and tf.distribute.get_strategy().num_replicas_in_sync > 1


def is_of_rows(value: tf.Tensor) -> bool:
    """Whether a tensor is one of the rows at hand, by its length."""
    return bool(value.shape.rank) and value.shape[0] in (None, _rows[-1])


def is_conditional() -> bool:
    """Whether what is computed stands in a condition or a loop, so that not every worker need come to it."""
    return not tf.executing_eagerly() and getattr(tf.compat.v1.get_default_graph(), "is_control_flow_graph", False)


def is_nested() -> bool:
    """Whether what is computed stands in a `tf.function` of the user's within the step."""
    return not tf.executing_eagerly() and _function_graph() is not getattr(_shares[-1], "graph", None)


def is_nested_in_eager() -> bool:
    """Likewise, in a step that is run eagerly."""
    return is_nested() and not hasattr(_shares[-1], "graph")


def share() -> tf.Tensor:
    """This worker's part of the global batch's rows, a float32 scalar; 0 where it has none.

    A `tf.function` of the user's within the step is traced once and called from several: those of a training and of a
    test, and those without rows. So it is handed the share when it is called and keeps none of the step that it was
    traced in.
    """
    if not is_nested():
        return _shares[-1]
    with _function_graph().as_default() as graph:
        return graph.capture_call_time_value(_share_when_called, tf.TensorSpec([]), key="raytrain share")


def _share_when_called() -> tf.Tensor:
    return _shares[-1] if _shares else tf.constant(1.0)


def _function_graph() -> tf.Graph:
    graph = tf.compat.v1.get_default_graph()
    while getattr(graph, "is_control_flow_graph", False):
        graph = graph.outer_graph
    return graph
