"""Feeds Keras from this worker's slices of the global batches of rows held in memory.

Runs in: every Train worker.

The order of an epoch is a pure function of (seed, epoch) and is the same on every worker, whatever their number; the
slice of each global batch is `raytrain.spec.shards.worker_slice`. Batches are gathered a chunk of steps at a time by a
thread, while TensorFlow computes the chunk before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import tree
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from raytrain.spec.shards import ShardPlan, worker_slice

Arrays = Any
"""(features,), (features, labels) or (features, labels, weights); each an array (rows, …) or a dict of arrays."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some consecutive steps of one worker.

    Attributes:
        data: like `Arrays`, each array (steps, per_worker_batch, …).
        share: this worker's part of each global batch's rows; 0 when it has none and `data` is one row to go through
            the motions with.
        is_last: whether the epoch ends with it.
    """

    data: Arrays
    steps: int
    share: float
    is_last: bool = True


def epoch_order(rows: int, *, seed: int, epoch: int, shuffle: bool) -> npt.NDArray[np.int64]:
    """The order in which all workers together see the rows in an epoch (counted from 0), shape (rows,)."""
    if not shuffle:
        return np.arange(rows)
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, epoch])).permutation(rows)


class Feed(DataAdapter):  # type: ignore[misc]
    """One split of the data as one worker reads it; Keras takes it for `x` in `fit` and `evaluate`.

    Args:
        arrays: all rows of the split, the same on every worker.
        chunk_steps: how many steps are gathered, and run by one call of the train function, at a time.
    """

    def __init__(
        self, arrays: Arrays, *, plan: ShardPlan, rank: int, seed: int, shuffle: bool, chunk_steps: int = 1
    ) -> None:
        self._arrays = arrays
        self._plan = plan
        self._rank = rank
        self._seed = seed
        self._shuffle = shuffle
        self.chunk_steps = chunk_steps
        self.epoch = 0
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        """The epoch's chunks; `waited_s` grows by the seconds the training thread waited for each."""
        order = epoch_order(self._plan.rows, seed=self._seed, epoch=self.epoch, shuffle=self._shuffle)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="raytrain-feed") as gatherer:
            starts = iter(self._chunks())
            ahead = [gatherer.submit(self._gather, order, *chunk) for chunk in itertools.islice(starts, 2)]
            while ahead:
                began = perf_counter()
                chunk = ahead.pop(0).result()
                self.waited_s += perf_counter() - began
                ahead += [gatherer.submit(self._gather, order, *bounds) for bounds in itertools.islice(starts, 1)]
                yield chunk

    def example_batch(self) -> Arrays:
        """A batch of this worker, as tensors, for Keras to learn the shapes from."""
        start, stop = worker_slice(self._plan.batch_rows(0), self._plan.workers, self._rank)
        return self._take(np.arange(start, max(stop, start + 1)) % self._plan.rows)

    @property
    def rows_per_epoch(self) -> int:
        return self._plan.rows_per_worker[self._rank]

    @property
    def share(self) -> float:
        """This worker's part of an epoch's rows."""
        return self.rows_per_epoch / sum(self._plan.rows_per_worker)

    @property
    def global_batch_bytes(self) -> int:
        """Size of a whole global batch, the same on every worker."""
        rows = self._plan.rows
        return sum(int(array.nbytes) // rows for array in tree.flatten(self._arrays)) * self._plan.global_batch_size

    @property
    def num_batches(self) -> int:
        return self._plan.steps

    @property
    def batch_size(self) -> int:
        return self._plan.global_batch_size

    @property
    def has_partial_batch(self) -> bool:
        return self._plan.batch_rows(self._plan.steps - 1) < self._plan.global_batch_size

    @property
    def partial_batch_size(self) -> int | None:
        return self._plan.batch_rows(self._plan.steps - 1) if self.has_partial_batch else None

    def _slice(self, step: int) -> tuple[int, int]:
        return worker_slice(self._plan.batch_rows(step), self._plan.workers, self._rank)

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """(first step, steps) of each chunk; a partial global batch is a chunk of its own."""
        full = self._plan.steps - (1 if self.has_partial_batch else 0)
        for first in range(0, full, self.chunk_steps):
            yield first, min(self.chunk_steps, full - first)
        if self.has_partial_batch:
            yield full, 1

    def _gather(self, order: npt.NDArray[np.int64], first: int, steps: int) -> Chunk:
        batch_rows = self._plan.batch_rows(first)
        start, stop = worker_slice(batch_rows, self._plan.workers, self._rank)
        begins = np.arange(first, first + steps)[:, None] * self._plan.global_batch_size
        places = begins + np.arange(start, stop)[None, :]
        if start == stop:
            places = begins
        return Chunk(
            data=self._take(order[places]),
            steps=steps,
            share=(stop - start) / batch_rows,
            is_last=first + steps == self._plan.steps,
        )

    def _take(self, rows: npt.NDArray[np.int64]) -> Arrays:
        return tree.map_structure(lambda array: tf.convert_to_tensor(array[rows]), self._arrays)
