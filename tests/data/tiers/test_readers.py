"""What each tier reads of the same rows: all once, together; unshuffled, the very same batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.data.tiers.cache import Cache
from raytrain.data.tiers.dealing import owning_ranks
from raytrain.data.tiers.readers import Cached, InMemory, Reader, epoch_order, rank_generator
from raytrain.spec.shards import ShardPlan, plan_shards


def rows_of(count: int) -> Any:
    return np.arange(count, dtype=np.float32)[:, None] * [1, 2], np.arange(count)


def cached(count: int, plan: ShardPlan, rank: int) -> Cached:
    own = np.flatnonzero(owning_ranks(np.arange(count), plan) == rank)
    cache = Cache(len(own), rows_of(1), folder=None)
    cache.append(rows_of(count), own)
    return Cached(cache, rows_of(1), rows=count, all_rows=lambda: iter(()))


def batches(reader: Reader, plan: ShardPlan, rank: int, *, epoch: int, shuffle: bool) -> Iterator[list[int]]:
    """The labels of each step; of one that the rank has no row of, its stand-in's."""
    reading = reader.open(plan, rank, seed=3, epoch=epoch, shuffle=shuffle)
    for step in range(plan.steps):
        features, labels = reading.take(step, 1)
        assert features.shape == (1, labels.shape[1], 2)
        yield labels[0].tolist()
    reading.close()


@given(st.integers(1, 200), st.integers(1, 6), st.integers(6, 40))
def test_unshuffled_cached_rows_are_the_batches_of_rows_in_memory(rows: int, workers: int, batch: int) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch)
    for rank in range(workers):
        own = list(batches(cached(rows, plan, rank), plan, rank, epoch=0, shuffle=False))
        shared = list(batches(InMemory(rows_of(rows)), plan, rank, epoch=0, shuffle=False))
        assert own[: rows // batch] == shared[: rows // batch]
        assert list(map(len, own)) == list(map(len, shared))


@given(st.integers(6, 200), st.integers(1, 6), st.integers(6, 40))
def test_all_workers_together_read_every_row_once_an_epoch(rows: int, workers: int, batch: int) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch)
    for make in (lambda rank: InMemory(rows_of(rows)), lambda rank: cached(rows, plan, rank)):
        seen: list[int] = []
        for rank in range(workers):
            steps = list(batches(make(rank), plan, rank, epoch=1, shuffle=True))
            seen += [row for step in steps for row in step][: plan.rows_per_worker[rank]]
        assert sorted(seen) == list(range(rows))


def test_a_lone_workers_cache_has_the_order_of_rows_in_memory() -> None:
    plan = plan_shards(50, workers=1, global_batch_size=16)
    own = list(batches(cached(50, plan, 0), plan, 0, epoch=3, shuffle=True))
    assert own == list(batches(InMemory(rows_of(50)), plan, 0, epoch=3, shuffle=True))


def test_a_cached_epoch_has_an_order_of_its_own_that_comes_again() -> None:
    plan = plan_shards(64, workers=2, global_batch_size=16)
    reader = cached(64, plan, 1)
    epochs = [list(batches(reader, plan, 1, epoch=epoch, shuffle=True)) for epoch in (0, 1, 1)]
    assert epochs[0] != epochs[1] == epochs[2]


def test_orders_are_what_they_were_in_every_earlier_version() -> None:
    assert epoch_order(6, seed=7, epoch=2, shuffle=True).tolist() == [3, 5, 1, 4, 2, 0]
    assert rank_generator(7, 2, 1).permutation(6).tolist() == [4, 1, 5, 3, 2, 0]


def test_ranks_draw_independently() -> None:
    assert len({tuple(rank_generator(0, 0, rank).integers(10**9, size=3)) for rank in range(50)}) == 50


@pytest.mark.parametrize("steps", [1, 3])
def test_a_rank_without_rows_of_a_step_gets_some_row(steps: int) -> None:
    plan = plan_shards(3, workers=4, global_batch_size=3)
    reading = cached(3, plan, 3).open(plan, 3, seed=0, epoch=0, shuffle=True)
    features, labels = reading.take(0, steps)
    assert features.shape == (steps, 1, 2)
    assert labels.shape == (steps, 1)
