"""The step that is being traced or run, and this worker's share of its rows.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class _Step:
    share: tf.Tensor
    rows: int | None
    batch_rows: int | None


_steps: list[_Step] = []
_over_all_rows: list[bool] = []


@contextlib.contextmanager
def of_share(share: tf.Tensor, *, rows: int | None = None, batch_rows: int | None = None) -> Iterator[None]:
    """Marks a step, while it is traced or run, of a worker with `share` (a float32 scalar) of the rows.

    Args:
        rows: how many are at hand; None where that differs from step to step.
        batch_rows: how many all workers have together; likewise.
    """
    _steps.append(_Step(share=share, rows=rows, batch_rows=batch_rows))
    try:
        yield
    finally:
        _steps.pop()


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
    return bool(_steps) and not _over_all_rows


def is_shared() -> bool:
    """Whether the rows at hand are a part of those of a step that is being traced or run."""
    return has_own_rows() and is_divided()


def is_divided() -> bool:
    """Whether the rows of a step that is being traced or run are divided, whatever rows a part of it is handed."""
    return bool(_steps) and tf.distribute.get_strategy().num_replicas_in_sync > 1


def is_of_rows(value: Any) -> bool:
    """Whether a value is a tensor of the rows at hand, by its length."""
    return isinstance(value, tf.Tensor) and bool(value.shape.rank) and value.shape[0] in (None, _steps[-1].rows)


def has_rows(value: tf.Tensor) -> bool:
    """Whether a tensor may have the rows at hand along its first axis, some entries for each."""
    if not value.shape.rank:
        return False
    rows = _steps[-1].rows
    return value.shape[0] is None or (
        rows is not None and value.shape[0] % rows == 0 and (rows > 1 or is_of_rows(value))
    )


def rows_at_hand() -> int | None:
    """How many rows this worker has of the step; None where that differs from step to step."""
    return _steps[-1].rows


def rows_beforehand() -> int | None:
    """Likewise, where every step of the epoch has as many."""
    return None if _steps[-1].batch_rows is None else _steps[-1].rows


def length_over_all_rows(value: tf.Tensor) -> int | None:
    """How many rows all workers' parts of a tensor have together, where that is known beforehand.

    It is not in a `tf.function` of the user's, which other steps call, too.
    """
    step = _steps[-1]
    return step.batch_rows if value.shape[0] is not None and value.shape[0] == step.rows and not is_nested() else None


def is_conditional() -> bool:
    """Whether what is computed stands in a condition or a loop, so that not every worker need come to it."""
    return not tf.executing_eagerly() and getattr(tf.compat.v1.get_default_graph(), "is_control_flow_graph", False)


def is_nested() -> bool:
    """Whether what is computed stands in a `tf.function` of the user's within the step."""
    return (
        bool(_steps)
        and not tf.executing_eagerly()
        and _function_graph() is not getattr(_steps[-1].share, "graph", None)
    )


def is_nested_in_eager() -> bool:
    """Likewise, in a step that is run eagerly."""
    return is_nested() and not hasattr(_steps[-1].share, "graph")


def share() -> tf.Tensor:
    """This worker's part of the global batch's rows, a float32 scalar; 0 where it has none.

    A `tf.function` of the user's within the step is traced once and called from several: those of a training and of a
    test, and those without rows. So it is handed the share when it is called and keeps none of the step that it was
    traced in.
    """
    if not is_nested():
        return _steps[-1].share
    with _function_graph().as_default() as graph:
        return graph.capture_call_time_value(_share_when_called, tf.TensorSpec([]), key="raytrain share")


def _share_when_called() -> tf.Tensor:
    return _steps[-1].share if _steps else tf.constant(1.0)


def _function_graph() -> tf.Graph:
    graph = tf.compat.v1.get_default_graph()
    while getattr(graph, "is_control_flow_graph", False):
        graph = graph.outer_graph
    return graph
