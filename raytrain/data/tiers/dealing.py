"""The dealing rule of the sharded and the streaming tier: which worker gets which rows. Pure.

Runs in: the dealer's actor.

The row at position p of a split, which is the number of the split's rows that come before it, belongs to global batch
p // G and to the worker whose `raytrain.spec.shards.worker_slice` of that batch holds it. So every worker gets exactly
its `rows_per_worker`, at the same rate as the others, however the rows come in blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from raytrain.spec.checks import SPLITS
from raytrain.spec.shards import ShardPlan, worker_slice

Rows = npt.NDArray[np.int64]


class Dealing:
    """Deals the blocks of one pass, one after the other.

    Args:
        plans: of the splits that are dealt; rows of others go to nobody.
    """

    def __init__(self, plans: Mapping[str, ShardPlan]) -> None:
        self._plans = plans
        self._positions = dict.fromkeys(plans, 0)

    def deal(self, marks: npt.NDArray[np.int8]) -> dict[str, list[Rows]]:
        """For each split, the rows of the next block that each rank gets, as ascending numbers within the block.

        Args:
            marks: the split of each row of the block, as its number in `SPLITS`.
        """
        dealt = {}
        for split, plan in self._plans.items():
            rows = np.flatnonzero(marks == SPLITS.index(split))
            first = self._positions[split]
            self._positions[split] += len(rows)
            owners = owning_ranks(np.arange(first, first + len(rows)), plan)
            dealt[split] = [rows[owners == rank] for rank in range(plan.workers)]
        return dealt

    def deal_to_all(self, marks: npt.NDArray[np.int8]) -> dict[str, list[Rows]]:
        """The same where every rank gets every row."""
        return {
            split: [np.flatnonzero(marks == SPLITS.index(split))] * plan.workers for split, plan in self._plans.items()
        }


def owning_ranks(positions: Rows, plan: ShardPlan) -> Rows:
    """The rank that each position of a split belongs to; -1 for those that are dropped."""
    full_rows = plan.rows // plan.global_batch_size * plan.global_batch_size
    in_batch = positions % plan.global_batch_size
    owners = np.where(
        positions < full_rows,
        _owners(in_batch, plan.global_batch_size, plan.workers),
        _owners(in_batch, plan.rows - full_rows, plan.workers),
    )
    return np.where(positions < plan.rows - plan.dropped, owners, -1)


def _owners(places: Rows, batch_rows: int, workers: int) -> Rows:
    stops = np.array([worker_slice(batch_rows, workers, rank)[1] for rank in range(workers)])
    return np.searchsorted(stops, places, side="right")


def source_ranges(start: int, stop: int, order: Sequence[int], file_rows: Sequence[int]) -> list[tuple[int, int]]:
    """Where rows of a pass stand in the source's own order, as half-open ranges, when its files come in another.

    Args:
        start, stop: the rows' places in the pass.
        order: the files as the pass reads them, by their places in the source's own order.
        file_rows: rows of each file, in the source's own order.
    """
    own_starts = [0, *accumulate(file_rows)]
    ranges, begin = [], 0
    for file in order:
        end = begin + file_rows[file]
        first, last = max(start, begin), min(stop, end)
        if first < last:
            offset = own_starts[file] - begin
            ranges.append((first + offset, last + offset))
        begin = end
    return ranges
