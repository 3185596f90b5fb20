"""Feeds Keras from this worker's slices of the global batches, whatever tier the rows are kept in.

Runs in: every Train worker.

The slice of each global batch is `raytrain.spec.shards.worker_slice`. Batches are gathered a chunk of steps at a time
by a thread, while TensorFlow computes the chunk before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import tensorflow as tf
from keras import tree
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from raytrain.data.packed import Array, Arrays, map_arrays, row_count
from raytrain.data.tiers.readers import InMemory, Reader, Reading
from raytrain.spec.shards import ShardPlan, worker_slice


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some consecutive steps of one worker.

    Attributes:
        data: like `Arrays`, each array (steps, per_worker_batch, …).
        batch_rows: rows of each global batch.
        share: this worker's part of them; 0 when it has none and `data` is one row to go through the motions with.
        is_last: whether the epoch ends with it.
    """

    data: Arrays
    steps: int
    batch_rows: int
    share: float
    is_last: bool = True


class Feed(DataAdapter):  # type: ignore[misc]
    """One split of the data as one worker reads it; Keras takes it for `x` in `fit` and `evaluate`.

    Args:
        rows: what the split is read from, or all its rows as arrays, the same on every worker.
        class_weight: makes the third array, sample weights, from the labels.
        chunk_steps: how many steps are gathered at a time. Within an epoch it counts from the third chunk on after the
            newest that was handed out.

    Attributes:
        most_chunk_steps: how far `chunk_steps` may be raised while training; None where it was chosen for good.
        cut_every: no chunk goes past a multiple of so many steps.
        next_steps: steps of the chunk after the newest that was handed out; 0 when that was the last.
        epoch: whose order the next iteration has.
        first_step: steps of the epoch that the next iteration leaves out, and only that one.
        waited_s: seconds that the training thread has waited for rows so far.
    """

    def __init__(
        self,
        rows: Reader | Arrays,
        *,
        plan: ShardPlan,
        rank: int,
        seed: int,
        shuffle: bool,
        class_weight: Mapping[int, float] | None = None,
        chunk_steps: int = 1,
    ) -> None:
        self._reader = rows if isinstance(rows, Reader) else InMemory(rows)
        self._plan = plan
        self._rank = rank
        self._seed = seed
        self._shuffle = shuffle
        self._class_weight = class_weight
        self.chunk_steps = chunk_steps
        self.most_chunk_steps: int | None = None
        self.cut_every: int | None = None
        self.next_steps = 0
        self.epoch = 0
        self.first_step = 0
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        """The epoch's chunks; an iterator that is dropped midway ends its thread and its reading at once."""
        first_step, self.first_step = self.first_step, 0
        reading = self._reader.open(self._plan, self._rank, seed=self._seed, epoch=self.epoch, shuffle=self._shuffle)
        gatherer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raytrain-feed")
        try:
            bounds = self._chunks(first_step)

            def gather_ahead(chunks: int) -> list[tuple[int, Future[Chunk]]]:
                found = itertools.islice(bounds, chunks)
                return [(steps, gatherer.submit(self._gather, reading, first, steps)) for first, steps in found]

            ahead = gather_ahead(2)
            while ahead:
                began = perf_counter()
                chunk = ahead.pop(0)[1].result()
                self.waited_s += perf_counter() - began
                ahead += gather_ahead(1)
                self.next_steps = ahead[0][0] if ahead else 0
                yield chunk
        finally:
            reading.close()
            gatherer.shutdown(cancel_futures=True)

    def all_rows(self) -> Iterator[Arrays]:
        """Every row of the split, a part at a time, in the source's order: the same on every worker."""
        return self._reader.all_rows()

    def example_batch(self) -> Arrays:
        """A batch of this worker's size, as tensors, for Keras to learn the shapes from; its rows may be any."""
        return tree.map_structure(lambda tensor: tensor[0], self.example_chunk().data)

    def example_chunk(self) -> Chunk:
        """A first step to trace a step from; nothing is read for it."""
        start, stop = worker_slice(self._plan.batch_rows(0), self._plan.workers, self._rank)
        rows = np.arange(max(1, stop - start))[None, :] % row_count(self._reader.example)
        data = map_arrays(lambda array: array[rows], self._reader.example)
        batch_rows = self._plan.batch_rows(0)
        share = (stop - start) / batch_rows
        return Chunk(data=self._to_tensors(data), steps=1, batch_rows=batch_rows, share=share, is_last=False)

    @property
    def example(self) -> Arrays:
        """Some rows of the split, the same on every worker."""
        return self._reader.example

    @property
    def plan(self) -> ShardPlan:
        """How the split's rows are divided among the workers."""
        return self._plan

    def tensors(self, rows: Arrays) -> Arrays:
        """A batch of rows as it is handed to a step."""
        return tree.map_structure(lambda tensor: tensor[0], self._to_tensors(map_arrays(lambda a: a[None], rows)))

    def chunk_of(self, rows: Arrays) -> Chunk:
        """A step of this worker, where the rows are a global batch."""
        batch_rows = row_count(rows)
        start, stop = worker_slice(batch_rows, self._plan.workers, self._rank)
        part = slice(start, stop) if start < stop else slice(0, 1)
        mine = map_arrays(lambda array: array[None, part], rows)
        share = (stop - start) / batch_rows
        return Chunk(data=self._to_tensors(mine), steps=1, batch_rows=batch_rows, share=share)

    @property
    def rows_per_worker(self) -> tuple[int, ...]:
        """Rows that each rank reads in an epoch."""
        return self._plan.rows_per_worker

    @property
    def share(self) -> float:
        """This worker's part of an epoch's rows."""
        return self.rows_per_worker[self._rank] / sum(self.rows_per_worker)

    @property
    def global_batch_bytes(self) -> int:
        """Size of a whole global batch, the same on every worker."""
        return self._reader.bytes_per_row * self._plan.global_batch_size

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
    def last_ranks(self) -> int:
        """How many ranks, the first ones, have rows of the epoch's last batch."""
        return min(self._plan.workers, self._plan.batch_rows(self._plan.steps - 1))

    @property
    def partial_batch_size(self) -> int | None:
        return self._plan.batch_rows(self._plan.steps - 1) if self.has_partial_batch else None

    def _chunks(self, first_step: int) -> Iterator[tuple[int, int]]:
        """(first step, steps) of each chunk from a step on; a partial global batch is a chunk of its own."""
        full = self._plan.steps - (1 if self.has_partial_batch else 0)
        first = first_step
        while first < full:
            to_cut = self.cut_every - first % self.cut_every if self.cut_every else full
            steps = min(self.chunk_steps, to_cut, full - first)
            yield first, steps
            first += steps
        if self.has_partial_batch and first_step <= full:
            yield full, 1

    def _gather(self, reading: Reading, first: int, steps: int) -> Chunk:
        batch_rows = self._plan.batch_rows(first)
        start, stop = worker_slice(batch_rows, self._plan.workers, self._rank)
        return Chunk(
            data=self._to_tensors(reading.take(first, steps)),
            steps=steps,
            batch_rows=batch_rows,
            share=(stop - start) / batch_rows,
            is_last=first + steps == self._plan.steps,
        )

    def _to_tensors(self, data: Arrays) -> Arrays:
        if self._class_weight is not None:
            features, labels = data
            data = features, labels, _class_weights(labels, self._class_weight)
        return map_arrays(tf.convert_to_tensor, data)


def _class_weights(labels: Array, class_weight: Mapping[int, float]) -> Array:
    """The weight of each row's class, shape (steps, per_worker_batch); Keras looks up a row at a time, this a label."""
    flat = labels.reshape(-1, *labels.shape[2:])
    distinct, places = np.unique(flat, axis=0, return_inverse=True)
    return class_weight_to_sample_weights(distinct, class_weight)[places].reshape(labels.shape[:2])  # type: ignore[no-any-return]
