from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.data.permutation import Permutation


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**31 - 1), cut=st.integers(0, 3000))
def test_every_number_is_reached_once_however_it_is_asked_for(size: int, seed: int, cut: int) -> None:
    permutation = Permutation(size=size, seed=seed)
    whole = permutation.of(0, size)
    assert sorted(whole.tolist()) == list(range(size))
    cut = min(cut, size)
    np.testing.assert_array_equal(np.concatenate([permutation.of(0, cut), permutation.of(cut, size)]), whole)


@pytest.mark.parametrize("size", [12, 100, 257])
def test_every_place_is_as_likely_for_every_number(size: int) -> None:
    seeds = 2000
    places = np.array([Permutation(size=size, seed=seed).of(0, size) for seed in range(seeds)])
    for number in range(0, size, max(1, size // 20)):
        counts = np.bincount(places[:, number], minlength=size)
        chi_squared = ((counts - seeds / size) ** 2 / (seeds / size)).sum()
        assert chi_squared < size - 1 + 6 * np.sqrt(2 * (size - 1))  # six standard deviations


def test_neighbours_do_not_stay_together() -> None:
    places = Permutation(size=10_000, seed=1).of(0, 10_000)
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(places, np.arange(10_000))[0, 1]) < 0.05


def test_a_hundred_million_rows_cost_what_is_asked_of_them() -> None:
    places = Permutation(size=100_000_000, seed=3).of(99_999_000, 100_000_000)
    assert len(set(places.tolist())) == 1000
    assert places.min() >= 0
    assert places.max() < 100_000_000


def test_a_number_out_of_range_is_refused_at_once() -> None:
    with pytest.raises(AssertionError, match="out of range"):
        Permutation(size=300, seed=1).of(0, 301)
