"""Reads a pass over a source: packs its blocks in Ray Data tasks, and says whose rows each block holds.

Runs in: the dealer's actor, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray.data
from ray.data import ExecutionResources

from raytrain.data.blocks import stored_rows
from raytrain.data.packed import Arrays, to_block
from raytrain.data.tiers.dealer import DealtBlock
from raytrain.data.tiers.dealing import Dealing, source_ranges
from raytrain.data.tiers.dealt import BlockRows, Pass
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.shards import ShardPlan

Marks = npt.NDArray[np.int8]

_BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class PassSource:
    """A source as passes read it.

    Attributes:
        field: where it stands in the spec.
        dataset: its rows, its files in the order given as their places in the source's own; in its own when None.
        rows: how many it has.
        marks: the split of the rows of a range in the source's own order, as numbers in `SPLITS`.
        file_rows: rows of each file, in the source's own order; empty where files cannot be reordered.
        explain: turns what the reading raised into the error that says what to mend.
    """

    field: str
    dataset: Callable[[Sequence[int] | None], ray.data.Dataset]
    rows: int
    marks: Callable[[int, int], Marks]
    file_rows: tuple[int, ...] = ()
    explain: Callable[[Exception], Exception]


@dataclass(frozen=True, kw_only=True)
class PassReader:
    """Reads passes; the `Reading` of a dealer.

    Attributes:
        apply: packs a table's rows (`raytrain.data.pipeline.Pipeline.apply`).
        example: a few packed rows, as all must be.
        plans: of all splits.
        worker_cpus: what the workers take of the cluster's CPUs, which Ray Data is not to count on.
    """

    sources: Mapping[str, PassSource]
    apply: Callable[[pa.Table], Arrays]
    example: Arrays
    plans: Mapping[str, ShardPlan]
    seed: int
    worker_cpus: float = 0

    def __call__(self, deal: Pass) -> Generator[DealtBlock, None, None]:
        source = self.sources[deal.source]
        try:
            yield from self._read(deal, source)
        except Exception as error:  # noqa: BLE001  of the source or of the user's code
            raise source.explain(error) from None

    def _read(self, deal: Pass, source: PassSource) -> Generator[DealtBlock, None, None]:
        _few_blocks()
        order = file_order(len(source.file_rows), seed=self.seed, epoch=deal.epoch)
        dataset = source.dataset(order)
        options = dataset.context.execution_options
        options.preserve_order = True
        options.exclude_resources = ExecutionResources(cpu=self.worker_cpus)
        dataset.context.enable_progress_bars = False
        dataset.context.target_max_block_size = _BLOCK_BYTES
        packed = dataset.map_batches(
            _Pack(self.apply, self.example), batch_size=None, batch_format="pyarrow", zero_copy_batch=True
        )
        dealing = Dealing({split: self.plans[split] for split in deal.splits})
        workers = next(iter(self.plans.values())).workers
        at = 0
        for block in stored_rows(packed):
            marks = _marks(source, at, at + block.stop - block.first, order)
            at += block.stop - block.first
            dealt = dealing.deal_to_all(marks) if deal.to_all else dealing.deal(marks)
            pieces = [
                [
                    BlockRows(split=split, block=block.ref, rows=rows[rank] + block.first)
                    for split, rows in dealt.items()
                    if len(rows[rank])
                ]
                for rank in range(workers)
            ]
            yield DealtBlock(pieces=pieces, bytes=block.bytes)
        if at != source.rows:
            raise _changed(source, at)


class _Pack:
    def __init__(self, apply: Callable[[pa.Table], Arrays], example: Arrays) -> None:
        self._apply = apply
        self._example = example

    def __call__(self, table: pa.Table) -> pa.Table:
        return to_block(self._apply(table), self._example)


def _few_blocks() -> None:
    """Lets Ray Data cut a source no finer than its files and `_BLOCK_BYTES`, for which it asks this process's context.

    By default it cuts to 200 blocks, each of which costs a task of its own; uncut, a block is packed by the task that
    reads it.
    """
    context = ray.data.DataContext.get_current()
    context.read_op_min_num_blocks = 1
    context.target_max_block_size = _BLOCK_BYTES


def file_order(files: int, *, seed: int, epoch: int | None) -> list[int] | None:
    """The order in which an epoch reads a source's files; None for the source's own."""
    if epoch is None or files < 2:
        return None
    # Beside the orders of rows, whose third counter is a rank's or 0, stands that of the files.
    generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, 1, 0, epoch]))
    return [int(file) for file in generator.permutation(files)]


def _marks(source: PassSource, start: int, stop: int, order: Sequence[int] | None) -> Marks:
    if stop > source.rows:
        raise _changed(source, stop)
    ranges = [(start, stop)] if order is None else source_ranges(start, stop, order, source.file_rows)
    parts = [source.marks(first, last) for first, last in ranges]
    return np.concatenate(parts) if parts else np.empty(0, np.int8)


def _changed(source: PassSource, rows: int) -> UserCodeError:
    more = "more than " if rows > source.rows else ""
    return UserCodeError(
        Problem(
            field=source.field,
            got=f"{more}{min(rows, source.rows)} rows",
            expected=f"{source.rows}, as it had when the job began",
            fix="leave the files alone while a job reads them; a function must give the same rows each time",
        )
    )


def split_marks(number: int) -> Callable[[int, int], Any]:
    """The marks of a source all of whose rows are of one split."""
    return _OneSplit(number)


class _OneSplit:
    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, start: int, stop: int) -> Marks:
        return np.full(stop - start, self._number, np.int8)
