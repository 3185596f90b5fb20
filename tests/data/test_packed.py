"""Packed arrays travel as Arrow blocks and come back as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raytrain.data.packed import bytes_per_row, from_block, leaves, like, map_arrays, row_count, to_block
from raytrain.errors import UserCodeError

ROWS = 5
ARRAYS: dict[str, Any] = {
    "one input": (np.arange(10, dtype=np.float32).reshape(ROWS, 2),),
    "images and labels": (np.arange(60, dtype=np.uint8).reshape(ROWS, 2, 2, 3), np.arange(ROWS)),
    "named inputs and outputs": (
        {"b": np.arange(ROWS), "a": np.ones((ROWS, 1), np.float32)},
        {"z": np.zeros(ROWS, np.float32)},
        np.ones(ROWS, np.float32),
    ),
    "text": ({"words": np.array(["a", "bc", "", "ä", "e"], object), "x": np.arange(ROWS)}, np.arange(ROWS)),
    "text in a table": (np.array([["a", "b"]] * ROWS, object),),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("pieces", [1, 3])
def test_there_and_back(name: str, pieces: int) -> None:
    arrays = ARRAYS[name]
    cuts = np.array_split(np.arange(ROWS), pieces)
    block = pa.concat_tables([to_block(map_arrays(lambda array, cut=cut: array[cut], arrays), arrays) for cut in cuts])
    back = from_block(block, arrays)
    assert [type(part) for part in back] == [type(part) for part in arrays]
    for ours, theirs in zip(leaves(back), leaves(arrays), strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        text = theirs.dtype == object
        expected = [cell.encode() for cell in theirs.ravel()] if text else theirs.ravel().tolist()
        assert ours.ravel().tolist() == expected


def test_numbers_are_not_copied() -> None:
    arrays = ARRAYS["images and labels"]
    block = to_block(arrays, arrays)
    [first, _] = leaves(from_block(block, arrays))
    values = block.column(0).chunk(0).flatten().buffers()[1]
    assert first.__array_interface__["data"][0] == values.address


@pytest.mark.parametrize(
    "other",
    [np.zeros((ROWS, 3), np.float32), np.zeros((ROWS, 2), np.float64), np.full((ROWS, 2), 2**24 + 1)],
    ids=["another shape", "another type", "whole numbers that would be rounded"],
)
def test_rows_unlike_the_first_ones_are_refused(other: Any) -> None:
    with pytest.raises(UserCodeError, match="as in the first rows"):
        to_block((other,), ARRAYS["one input"])


def test_whole_numbers_are_fractions_where_the_first_rows_have_those() -> None:
    example = (np.zeros((ROWS, 2), np.float32),)
    [back] = leaves(from_block(to_block((np.full((ROWS, 2), 2**24),), example), example))
    assert back.dtype == np.float32
    assert (back == 2**24).all()


def test_no_whole_number_is_rounded_on_the_way() -> None:
    example = (np.zeros((ROWS, 2), np.float64),)
    with pytest.raises(UserCodeError, match="as in the first rows"):
        to_block((np.full((ROWS, 2), 2**53 + 1),), example)


def test_structure_is_kept_in_one_order() -> None:
    arrays = ARRAYS["named inputs and outputs"]
    again = like(arrays, leaves(arrays))
    assert list(again[0]) == ["b", "a"]
    assert all(ours is theirs for ours, theirs in zip(leaves(again), leaves(arrays), strict=True))
    assert row_count(arrays) == ROWS


def test_the_size_of_a_row() -> None:
    assert bytes_per_row(ARRAYS["images and labels"]) == 12 + 8
    assert bytes_per_row(ARRAYS["text"]) >= 8
