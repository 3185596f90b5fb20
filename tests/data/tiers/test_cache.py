"""A worker's cache gives its rows back, from memory and from disk, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.packed import leaves, map_arrays
from raytrain.data.tiers.cache import Cache
from raytrain.errors import UserCodeError

ROWS = 40
ARRAYS: Any = (
    {
        "x": np.arange(ROWS * 6, dtype=np.float32).reshape(ROWS, 2, 3),
        "t": np.array(["ä" * (i % 4) + str(i) for i in range(ROWS)], object),
    },
    np.arange(ROWS),
)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_rows_come_back_in_any_order_and_shape(where: str, tmp_path: Path) -> None:
    cache = Cache(ROWS, ARRAYS, folder=tmp_path if where == "disk" else None)
    for start in range(0, ROWS, 7):
        cache.append(map_arrays(lambda array: array[::-1], ARRAYS), ROWS - 1 - np.arange(start, min(start + 7, ROWS)))
    assert cache.filled == ROWS
    rows = np.random.default_rng(0).permutation(ROWS)[:36].reshape(4, 9)
    features, labels = cache.take(rows)
    np.testing.assert_array_equal(labels, rows)
    np.testing.assert_array_equal(features["x"], ARRAYS[0]["x"][rows])
    assert features["t"].shape == (4, 9)
    assert [cell.decode() for cell in features["t"].ravel()] == ARRAYS[0]["t"][rows].ravel().tolist()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_worker_may_have_no_row(where: str, tmp_path: Path) -> None:
    cache = Cache(0, ARRAYS, folder=tmp_path if where == "disk" else None)
    taken = cache.take(np.empty((2, 0), np.int64))
    assert [leaf.shape for leaf in leaves(taken)] == [(2, 0), (2, 0, 2, 3), (2, 0)]


def test_a_disk_without_room_is_told_of_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match=r"of rows to keep in .*data\.cache=streaming"):
        Cache(2**50, (np.zeros((1, 64), np.float32),), folder=tmp_path)
