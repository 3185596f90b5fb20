"""The shard arithmetic: who reads which rows of each global batch. Pure, and the same on client, driver and worker.

Global batch b is rows [b*G, (b+1)*G) of the epoch's order; every worker takes one contiguous slice of it, and slices
differ by one row at most. No row is left out unless `drop_remainder` asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """Rows per split."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """How one split of `rows` rows is read by `workers` workers.

    Attributes:
        steps: global batches an epoch, the partial one included unless it is dropped.
        rows_per_worker: rows each rank reads in an epoch.
        dropped: rows left out of every epoch; 0 unless `drop_remainder` was asked for.
    """

    rows: int
    workers: int
    global_batch_size: int
    steps: int
    rows_per_worker: tuple[int, ...]
    dropped: int

    def batch_rows(self, step: int) -> int:
        """Rows of global batch `step`, counted from 0."""
        return min(self.global_batch_size, self.rows - self.dropped - step * self.global_batch_size)


def fraction_of(total: int, fraction: float) -> int:
    """`fraction` of `total` rows, halves rounded up, as exact decimal arithmetic gives it: 0.1 of 1797 is 180."""
    return int(Fraction(repr(fraction)) * total + Fraction(1, 2))


def split_counts(total: int, *, validation: float = 0.0, test: float = 0.0) -> SplitCounts:
    """Divides `total` rows; both fractions are of `total`. A part may come out empty: the caller refuses that."""
    validation_rows = fraction_of(total, validation)
    test_rows = fraction_of(total, test)
    return SplitCounts(train=total - validation_rows - test_rows, validation=validation_rows, test=test_rows)


def worker_slice(batch_rows: int, workers: int, rank: int) -> tuple[int, int]:
    """The half-open range of a global batch of `batch_rows` rows that `rank` of `workers` takes."""
    base, extra = divmod(batch_rows, workers)
    start = rank * base + min(rank, extra)
    return start, start + base + (1 if rank < extra else 0)


def plan_shards(rows: int, *, workers: int, global_batch_size: int, drop_remainder: bool = False) -> ShardPlan:
    full, tail = divmod(rows, global_batch_size)
    dropped = tail if drop_remainder else 0
    tail -= dropped

    def read_by(rank: int) -> int:
        start, stop = worker_slice(global_batch_size, workers, rank)
        tail_start, tail_stop = worker_slice(tail, workers, rank)
        return full * (stop - start) + tail_stop - tail_start

    return ShardPlan(
        rows=rows,
        workers=workers,
        global_batch_size=global_batch_size,
        steps=full + (1 if tail else 0),
        rows_per_worker=tuple(read_by(rank) for rank in range(workers)),
        dropped=dropped,
    )
