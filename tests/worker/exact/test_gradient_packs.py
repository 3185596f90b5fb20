"""Which gradients travel together, and which go first."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raytrain.worker.exact.gradient_packs import FIRST_BYTES, MORE_BYTES, packs

MIB = 2**20


def packed(*sizes: int | None) -> list[list[int]]:
    return list(packs(["float32"] * len(sizes), sizes))


def test_what_is_small_travels_at_once() -> None:
    assert packed(4, 40, 400) == [[2, 1, 0]]


def test_the_last_layers_go_first_in_a_small_pack() -> None:
    assert packed(10 * MIB, 16 * MIB, 4 * MIB, MIB // 2, MIB // 2) == [[4, 3], [2, 1], [0]]


def test_a_large_one_goes_alone() -> None:
    assert packed(100 * MIB, 100 * MIB) == [[1], [0]]


def test_each_pack_is_of_one_dtype() -> None:
    assert list(packs(["float32", "int64", "float32"], [4, 8, 4])) == [[2, 0], [1]]


def test_one_of_unknown_size_goes_alone() -> None:
    assert packed(4, None, 4) == [[1], [2, 0]]


@given(st.lists(st.tuples(st.sampled_from("fi"), st.none() | st.integers(0, 30 * MIB))))
def test_each_travels_once_within_the_bounds(tensors: list[tuple[str, int | None]]) -> None:
    kinds, sizes = [kind for kind, _ in tensors], [size for _, size in tensors]

    found = list(packs(kinds, sizes))

    assert sorted(index for pack in found for index in pack) == list(range(len(tensors)))
    for pack in found:
        assert all(first > then for first, then in pairwise(pack))
        assert len({kinds[index] for index in pack}) == 1
        total = sum(sizes[index] or 0 for index in pack)
        assert len(pack) == 1 or total <= MORE_BYTES
    for kind in set(kinds):
        first = next((pack for pack in found if kinds[pack[0]] == kind and sizes[pack[0]] is not None), [])
        assert len(first) <= 1 or sum(sizes[index] or 0 for index in first) <= FIRST_BYTES
