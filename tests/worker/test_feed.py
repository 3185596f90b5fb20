"""The feed: the chunks of an epoch, from any step on, and nothing left running when it is dropped midway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.packed import Arrays
from raytrain.data.tiers.cache import Cache
from raytrain.data.tiers.readers import Cached, InMemory, Reader, Reading
from raytrain.spec.shards import ShardPlan, plan_shards
from raytrain.worker.feed import Feed

ROWS, BATCH = 50, 8
ARRAYS: Any = (np.arange(ROWS, dtype=np.float32)[:, None], np.arange(ROWS) % 3)


def reader(kind: str) -> Reader:
    if kind == "memory":
        return InMemory(ARRAYS)
    cache = Cache(ROWS, ARRAYS, folder=Path("/tmp") if kind == "disk" else None)
    cache.append(ARRAYS, np.arange(ROWS))
    return Cached(cache, ARRAYS, rows=ROWS, all_rows=lambda: iter(()))


def feed(rows: Reader | Arrays, *, workers: int = 1, **more: Any) -> Feed:
    plan = plan_shards(ROWS, workers=workers, global_batch_size=BATCH)
    return Feed(rows, **{"plan": plan, "rank": 0, "seed": 1, "shuffle": True, **more})


def steps_of(fed: Feed) -> list[list[float]]:
    return [step.numpy().ravel().tolist() for chunk in fed for step in chunk.data[0]]


@pytest.mark.parametrize("kind", ["memory", "cached", "disk"])
@pytest.mark.parametrize("chunk_steps", [1, 4, 100])
@pytest.mark.parametrize("first_step", [0, 1, 4, 6])
def test_the_steps_from_any_one_on_are_those_of_the_whole_epoch(kind: str, chunk_steps: int, first_step: int) -> None:
    fed = feed(reader(kind), chunk_steps=chunk_steps)
    fed.epoch = 2
    whole = steps_of(fed)
    assert list(map(len, whole)) == [8] * 6 + [2]
    assert sorted(chain.from_iterable(whole)) == ARRAYS[0].ravel().tolist()
    fed.first_step = first_step
    assert steps_of(fed) == whole[first_step:]
    assert steps_of(fed) == whole  # only that one iteration began later


@pytest.mark.parametrize("kind", ["memory", "cached", "disk"])
def test_chunks_that_change_their_size_hold_the_same_steps(kind: str) -> None:
    whole = steps_of(feed(reader(kind)))
    fed = feed(reader(kind))
    found, sizes, following = [], [], []
    for chunk in fed:
        fed.chunk_steps = 3
        found += [step.numpy().ravel().tolist() for step in chunk.data[0]]
        sizes.append(chunk.steps)
        following.append(fed.next_steps)
    assert found == whole
    assert sizes == [1, 1, 1, 3, 1]  # two were on their way when 3 was asked for; the last holds the partial batch
    assert following == [*sizes[1:], 0]


@pytest.mark.parametrize(("first_step", "sizes"), [(0, [3, 2, 3, 2, 2]), (4, [1, 3, 2, 2]), (5, [3, 2, 2])])
def test_no_chunk_goes_past_a_multiple_of_the_steps_between_checkpoints(first_step: int, sizes: list[int]) -> None:
    fed = Feed(ARRAYS, plan=plan_shards(48, workers=1, global_batch_size=4), rank=0, seed=1, shuffle=True)
    fed.chunk_steps, fed.cut_every, fed.first_step = 3, 5, first_step
    assert [chunk.steps for chunk in fed] == sizes


def test_the_last_chunk_says_so() -> None:
    assert [chunk.is_last for chunk in feed(ARRAYS, chunk_steps=4)] == [False, False, True]


class _Slow(Reader):
    """Rows that take long to come, and a reading that ends as soon as it is closed."""

    rows = ROWS
    example = ARRAYS

    def all_rows(self) -> Iterator[Arrays]:
        yield ARRAYS

    def __init__(self) -> None:
        self.closed = threading.Event()

    def open(self, plan: ShardPlan, rank: int, *, seed: int, epoch: int, shuffle: bool) -> Reading:
        return self

    def take(self, first: int, steps: int) -> Arrays:
        if first > 0 and self.closed.wait(30):
            raise RuntimeError("closed")
        return tuple(array[:BATCH][None] for array in ARRAYS)

    def close(self) -> None:
        self.closed.set()


def test_an_epoch_that_is_dropped_midway_ends_its_thread_at_once() -> None:
    slow = _Slow()
    chunks = iter(feed(slow))
    next(chunks)
    began = time.monotonic()
    chunks.close()  # type: ignore[attr-defined]
    assert slow.closed.is_set()
    assert time.monotonic() - began < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("raytrain-feed")]


def test_waiting_for_rows_is_measured() -> None:
    slow = _Slow()
    threading.Timer(0.3, slow.closed.set).start()
    fed = feed(slow)
    with pytest.raises(RuntimeError, match="closed"):
        list(fed)
    quick = feed(ARRAYS)
    list(quick)
    assert quick.waited_s < 0.3


@pytest.mark.parametrize("labels", [ARRAYS[1], np.eye(3, dtype=np.float32)[ARRAYS[1]], ARRAYS[1][:, None]])
def test_class_weights_are_those_of_the_labels(labels: Any) -> None:
    fed = feed((ARRAYS[0], labels), class_weight={0: 0.5, 1: 2.0}, chunk_steps=4)
    for chunk in fed:
        features, _, weights = chunk.data
        classes = features.numpy()[..., 0].astype(int) % 3
        np.testing.assert_array_equal(weights.numpy(), np.array([0.5, 2.0, 1.0])[classes])


def test_the_example_is_shaped_like_the_first_step() -> None:
    fed = feed(ARRAYS, workers=3)
    first = next(iter(fed))
    example = fed.example_chunk()
    assert [tensor.shape for tensor in example.data] == [tensor.shape for tensor in first.data]
    assert example.share == first.share
    assert [tensor.shape for tensor in fed.example_batch()] == [tensor.shape[1:] for tensor in first.data]
