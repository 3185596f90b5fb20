from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytrain.driver.splits import Rows, split_rows
from raytrain.errors import UserCodeError
from raytrain.spec.shards import SplitCounts

SIZES = st.builds(SplitCounts, train=st.integers(1, 60), validation=st.integers(0, 20), test=st.integers(0, 20))


def assert_partition(parts: dict[str, Rows], counts: SplitCounts) -> None:
    assert {split: len(rows) for split, rows in parts.items()} == vars(counts)
    together = np.concatenate(list(parts.values()))
    assert sorted(together.tolist()) == list(range(counts.train + counts.validation + counts.test))
    for rows in parts.values():
        assert rows.tolist() == sorted(rows.tolist())


@settings(deadline=None)
@given(counts=SIZES, seed=st.integers(0, 2**31 - 1))
def test_every_row_is_in_exactly_one_split(counts: SplitCounts, seed: int) -> None:
    parts = split_rows(counts, seed=seed)
    assert_partition(parts, counts)
    again = split_rows(counts, seed=seed)
    assert all(np.array_equal(parts[split], again[split]) for split in parts)


@settings(deadline=None)
@given(
    counts=st.builds(SplitCounts, train=st.integers(12, 60), validation=st.integers(4, 20), test=st.integers(4, 20)),
    seed=st.integers(0, 2**31 - 1),
    data=st.data(),
)
def test_a_stratified_split_is_a_split(counts: SplitCounts, seed: int, data: st.DataObject) -> None:
    total = counts.train + counts.validation + counts.test
    classes = np.arange(total) % data.draw(st.integers(2, 4))
    parts = split_rows(counts, seed=seed, stratify_by=classes)
    assert_partition(parts, counts)
    for number in np.unique(classes):
        overall = np.mean(classes == number)
        for rows in parts.values():
            assert abs(np.sum(classes[rows] == number) - overall * len(rows)) <= 2


def test_the_split_of_a_seed_is_what_it_was_in_every_earlier_version() -> None:
    parts = split_rows(SplitCounts(train=6, validation=2, test=2), seed=7)
    assert {split: rows.tolist() for split, rows in parts.items()} == {
        "train": [0, 3, 4, 5, 6, 8],
        "validation": [7, 9],
        "test": [1, 2],
    }


def test_other_seeds_split_otherwise() -> None:
    counts = SplitCounts(train=50, validation=25, test=25)
    splits = {tuple(split_rows(counts, seed=seed)["test"].tolist()) for seed in range(20)}
    assert len(splits) == 20


def test_the_test_rows_stay_the_same_when_a_validation_part_is_asked_for_too() -> None:
    without = split_rows(SplitCounts(train=80, validation=0, test=20), seed=3)
    beside = split_rows(SplitCounts(train=60, validation=20, test=20), seed=3)
    np.testing.assert_array_equal(without["test"], beside["test"])


@pytest.mark.parametrize("kind", ["numbers", "text", "halves"])
def test_stratified_keeps_rare_classes_in_proportion(kind: str) -> None:
    numbers = np.repeat([0, 1, 2], [700, 200, 100])
    classes = {
        "numbers": numbers,
        "text": np.array(["a", "b", "c"], dtype=object)[numbers],
        "halves": numbers.astype(np.float32) / 2,
    }[kind]
    parts = split_rows(SplitCounts(train=700, validation=200, test=100), seed=0, stratify_by=classes)
    found = {split: [int(np.sum(numbers[rows] == number)) for number in (0, 1, 2)] for split, rows in parts.items()}
    assert found == {"train": [490, 140, 70], "validation": [140, 40, 20], "test": [70, 20, 10]}


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0] * 9 + [1], id="a class of one row"),
        pytest.param(list(range(10)), id="every row its own class"),
        pytest.param([0, 1, 2, 3, 4] * 2, id="more classes than test rows"),
    ],
)
def test_classes_that_cannot_be_in_every_split_are_refused(classes: list[int]) -> None:
    with pytest.raises(UserCodeError) as refused:
        split_rows(SplitCounts(train=8, validation=0, test=2), seed=0, stratify_by=np.array(classes))
    assert refused.value.problems[0].field == "data.stratify"
    assert "class" in refused.value.problems[0].got
