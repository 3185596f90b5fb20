"""The shuffle window: every row once, at random, bounded, and the same however the rows come."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raytrain.data.tiers.shuffle_window import Window

EXAMPLE: Any = (np.zeros((1, 2), np.float32), np.zeros(1, np.int64))


def shuffled(rows: int, *, batch: int, capacity: int, block: int, seed: int = 0) -> tuple[list[int], int]:
    """The order in which rows 0 … rows-1 leave the window, and the most it ever held."""
    window = Window(EXAMPLE, rows=rows, capacity=capacity, generator=np.random.default_rng(seed))
    order: list[int] = []
    added = most = 0
    while len(order) < rows:
        drawn = min(batch, rows - len(order))
        while missing := window.missing(drawn):
            new = np.arange(added, added + min(missing, block))
            window.add((np.stack([new, -new], 1).astype(np.float32), new), np.arange(len(new)))
            added += len(new)
        most = max(most, added - len(order))
        features, labels = window.draw(drawn)
        np.testing.assert_array_equal(features, np.stack([labels, -labels], 1))
        order += labels.tolist()
    return order, most


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 100), st.integers(1, 70))
def test_every_row_leaves_once_and_few_are_held(rows: int, batch: int, capacity: int, block: int) -> None:
    order, most = shuffled(rows, batch=batch, capacity=capacity, block=block)
    assert sorted(order) == list(range(rows))
    assert most <= capacity + batch
    assert order == shuffled(rows, batch=batch, capacity=capacity, block=1000)[0]


def test_without_a_window_the_order_stays() -> None:
    assert shuffled(100, batch=7, capacity=0, block=3)[0] == list(range(100))


def test_rows_are_mixed_within_the_window() -> None:
    order, _ = shuffled(1000, batch=10, capacity=200, block=64)
    moved = np.abs(np.array(order) - np.arange(1000))
    assert moved.mean() > 50
    assert order != shuffled(1000, batch=10, capacity=200, block=64, seed=1)[0]


def test_a_window_of_all_rows_draws_any_of_them_first() -> None:
    firsts = {shuffled(20, batch=1, capacity=20, block=20, seed=seed)[0][0] for seed in range(300)}
    assert firsts == set(range(20))
