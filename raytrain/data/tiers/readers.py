"""How each tier gives a worker its batches, epoch after epoch.

Runs in: every Train worker; imports no TensorFlow.

In memory, all workers share one order, a pure function of (seed, epoch). Cached and streamed, each has its own, of
(seed, epoch, rank): the rows of each are fixed by the dealing (`raytrain.data.tiers.dealing`). A lone worker's cache
has the order of rows in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from raytrain.data.packed import Arrays, Rows, bytes_per_row, leaves, like, map_arrays, row_count
from raytrain.data.tiers.cache import Cache
from raytrain.data.tiers.dealt import Pass, Stream, ignore
from raytrain.data.tiers.shuffle_window import Window
from raytrain.spec.shards import ShardPlan, worker_slice


class Reading(Protocol):
    """One epoch of one worker, being read."""

    def take(self, first: int, steps: int) -> Arrays:
        """The worker's rows of the steps from `first` on, each array (steps, per_worker_batch, …).

        Steps are taken in ascending order; those left out are passed over. Where the worker has no row of a step, it
        gets one of any other.
        """

    def close(self) -> None:
        """Ends the reading, and a `take` that waits in another thread."""


class Reader(ABC):
    """One split's rows. `rows`: how many on all workers together; `example`: some of them, alike on all workers."""

    rows: int
    example: Arrays

    @abstractmethod
    def all_rows(self) -> Iterator[Arrays]:
        """Every row of the split, a part at a time, in the source's order: the same on every worker."""

    @abstractmethod
    def open(self, plan: ShardPlan, rank: int, *, seed: int, epoch: int, shuffle: bool) -> Reading:
        """Begins to read an epoch."""

    @property
    def bytes_per_row(self) -> int:
        """The same on every worker."""
        return bytes_per_row(self.example)


class InMemory(Reader):
    """All rows of the split, the same arrays on every worker."""

    def __init__(self, arrays: Arrays) -> None:
        self.rows = row_count(arrays)
        self.example = arrays

    @property
    def bytes_per_row(self) -> int:
        return sum(int(array.nbytes) // self.rows for array in leaves(self.example))

    def all_rows(self) -> Iterator[Arrays]:
        yield self.example

    def open(self, plan: ShardPlan, rank: int, *, seed: int, epoch: int, shuffle: bool) -> Reading:
        order = epoch_order(plan.rows, seed=seed, epoch=epoch, shuffle=shuffle)
        return _Gathering(self.example, order, plan, rank)


class Cached(Reader):
    """This worker's own rows of the split, in the order of their positions.

    Args:
        all_rows: goes through those of all workers.
    """

    def __init__(self, cache: Cache, example: Arrays, *, rows: int, all_rows: Callable[[], Iterator[Arrays]]) -> None:
        self._cache = cache
        self._all_rows = all_rows
        self.example = example
        self.rows = rows

    def all_rows(self) -> Iterator[Arrays]:
        return self._all_rows()

    def open(self, plan: ShardPlan, rank: int, *, seed: int, epoch: int, shuffle: bool) -> Reading:
        if shuffle and plan.workers > 1:
            order = rank_generator(seed, epoch, rank).permutation(self._cache.rows)
        else:
            order = epoch_order(self._cache.rows, seed=seed, epoch=epoch, shuffle=shuffle)
        return _OwnRows(self._cache, self.example, order, plan, rank)


class Streamed(Reader):
    """The split's rows as the dealer hands them out, anew for every epoch.

    Args:
        deal: the split's first pass.
        all_rows: goes through the rows of all workers.
        window_rows: rows among which each batch is drawn when they are shuffled.
        arrived: called whenever rows have come in.
    """

    def __init__(
        self,
        dealer: Any,
        deal: Pass,
        example: Arrays,
        *,
        rows: int,
        all_rows: Callable[[], Iterator[Arrays]],
        window_rows: int,
        arrived: Callable[[], None] = ignore,
    ) -> None:
        self._dealer = dealer
        self._deal = deal
        self._all_rows = all_rows
        self.example = example
        self.rows = rows
        self._window_rows = window_rows
        self._arrived = arrived

    def all_rows(self) -> Iterator[Arrays]:
        return self._all_rows()

    def open(self, plan: ShardPlan, rank: int, *, seed: int, epoch: int, shuffle: bool) -> Reading:
        deal = replace(self._deal, epoch=epoch if shuffle else None)
        self._deal = deal.following
        window = Window(
            self.example,
            rows=plan.rows_per_worker[rank],
            capacity=self._window_rows if shuffle else 0,
            generator=rank_generator(seed, epoch, rank),
        )
        stream = Stream(self._dealer, deal, rank, self.example, self._arrived)
        return _Drawing(stream, window, self.example, plan, rank)


class _Gathering:
    def __init__(self, arrays: Arrays, order: Rows, plan: ShardPlan, rank: int) -> None:
        self._arrays = arrays
        self._order = order
        self._plan = plan
        self._rank = rank

    def take(self, first: int, steps: int) -> Arrays:
        start, stop = worker_slice(self._plan.batch_rows(first), self._plan.workers, self._rank)
        begins = np.arange(first, first + steps)[:, None] * self._plan.global_batch_size
        places = begins if start == stop else begins + np.arange(start, stop)[None, :]
        rows = self._order[places]
        return map_arrays(lambda array: np.take(array, rows, axis=0), self._arrays)

    def close(self) -> None:
        """Nothing waits."""


class _OwnRows:
    def __init__(self, cache: Cache, example: Arrays, order: Rows, plan: ShardPlan, rank: int) -> None:
        self._cache = cache
        self._example = example
        self._order = order
        self._plan = plan
        self._rank = rank

    def take(self, first: int, steps: int) -> Arrays:
        start, stop = worker_slice(self._plan.batch_rows(first), self._plan.workers, self._rank)
        if start == stop:
            return _any_row(self._example, steps)
        begin = _rows_before(self._plan, self._rank, first)
        own = self._order[begin : begin + steps * (stop - start)]
        return self._cache.take(own.reshape(steps, stop - start))

    def close(self) -> None:
        """Nothing waits."""


class _Drawing:
    def __init__(self, stream: Stream, window: Window, example: Arrays, plan: ShardPlan, rank: int) -> None:
        self._stream = stream
        self._window = window
        self._example = example
        self._plan = plan
        self._rank = rank
        self._next_step = 0

    def take(self, first: int, steps: int) -> Arrays:
        while self._next_step < first:
            self._draw()
        start, stop = worker_slice(self._plan.batch_rows(first), self._plan.workers, self._rank)
        if start == stop:
            self._next_step += steps
            return _any_row(self._example, steps)
        taken = [np.empty((steps, stop - start, *leaf.shape[1:]), leaf.dtype) for leaf in leaves(self._example)]
        for step in range(steps):
            for whole, part in zip(taken, self._draw(), strict=True):
                whole[step] = part
        return like(self._example, taken)

    def close(self) -> None:
        self._stream.close()

    def _draw(self) -> list[np.ndarray]:
        start, stop = worker_slice(self._plan.batch_rows(self._next_step), self._plan.workers, self._rank)
        while missing := self._window.missing(stop - start):
            self._window.add(*self._stream.take(missing))
        self._next_step += 1
        return self._window.draw(stop - start)


def epoch_order(rows: int, *, seed: int, epoch: int, shuffle: bool) -> Rows:
    """The order in which all workers together see the rows in an epoch (counted from 0), shape (rows,)."""
    if not shuffle:
        return np.arange(rows)
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, epoch])).permutation(rows)


def rank_generator(seed: int, epoch: int, rank: int) -> np.random.Generator:
    """Draws a rank's own order of an epoch; never the numbers of `epoch_order`, whose third counter is 0."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, rank + 1, epoch]))


def _rows_before(plan: ShardPlan, rank: int, step: int) -> int:
    """Rows of the rank in the global batches before `step`; all of these are full."""
    start, stop = worker_slice(plan.global_batch_size, plan.workers, rank)
    return step * (stop - start)


def _any_row(example: Arrays, steps: int) -> Arrays:
    return map_arrays(lambda array: np.repeat(array[None, :1], steps, axis=0), example)
