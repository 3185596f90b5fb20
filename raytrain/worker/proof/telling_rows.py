"""The rows that a proof is made on: of the run itself, the same on every worker.

Pure: imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raytrain.data.packed import Arrays, leaves, map_arrays, row_count
from raytrain.spec.shards import ShardPlan

MOST_ROWS = 64


def batches_of(example: Arrays, plan: ShardPlan) -> list[Arrays]:
    """Batches as the split has them, smaller where those are large: a full one, and the last one where it is partial.

    What a partial batch divides among the workers (nothing for some, a row each, unequal parts) is divided so here.

    Args:
        example: rows of the split, from which as many classes are taken as there is room for.
    """
    return [_take(example, rows) for rows in _sizes(plan)]


def _sizes(plan: ShardPlan) -> Sequence[int]:
    """Rows of each batch, divided among the workers as those of the split are: with the same remainder."""
    kinds = dict.fromkeys([plan.batch_rows(0), plan.batch_rows(plan.steps - 1)])
    return list(dict.fromkeys(_as_small(rows, plan.workers) for rows in kinds))


def _as_small(rows: int, workers: int) -> int:
    most = max(MOST_ROWS, 2 * workers)
    return rows if rows <= most else most - (most - rows) % workers


def _take(example: Arrays, rows: int) -> Arrays:
    chosen = _of_all_classes(example, rows)
    return map_arrays(lambda array: array[chosen], example)


def _of_all_classes(example: Arrays, rows: int) -> np.ndarray:
    """Places of rows, in their order: one of each class in turn; where there are too few, again from the first."""
    count = row_count(example)
    labels = _classes(example)
    if labels is None or rows >= count:
        return np.sort(np.arange(rows) % count)
    turn = np.zeros(count, np.int64)  # how many of its class come before a row
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        turn[places] = np.arange(len(places))
    return np.sort(np.argsort(turn, kind="stable")[:rows])


def _classes(example: Arrays) -> np.ndarray | None:
    """A number of the class of each row, where there is one array of labels, of a few values."""
    if len(example) < 2 or len(leaves(example[1])) != 1:
        return None
    [labels] = leaves(example[1])
    if labels.ndim > 1 and labels.shape[1:] != (1,):
        labels = labels.argmax(axis=1) if labels.ndim == 2 else labels.reshape(len(labels), -1)[:, 0]
    distinct, numbers = np.unique(labels.reshape(-1), return_inverse=True)
    return numbers if len(distinct) <= MOST_ROWS else None
