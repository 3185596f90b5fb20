"""A seeded permutation of any number of rows that is computed, not kept.

Runs in: the driver, and the Ray Data tasks it starts.

A Feistel network is a bijection of the numbers of a few bits; those it sends out of range are sent on until they are in
it (cycle walking: Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]

_ROUNDS = 8
_FEWEST_BITS = 8  # halves of fewer than four bits leave out most permutations


@dataclass(frozen=True, kw_only=True)
class Permutation:
    """A bijection of 0 … size-1 onto itself, a pure function of size and seed."""

    size: int
    seed: int

    def of(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Where the numbers from `start` to before `stop` go, shape (stop - start,)."""
        assert stop <= self.size, "a number out of range may never come into it"
        keys = np.random.Generator(np.random.Philox(key=self.seed)).integers(2**64, size=_ROUNDS, dtype=np.uint64)
        bits = max(_FEWEST_BITS, (self.size - 1).bit_length())
        moved = _network(np.arange(start, stop, dtype=np.uint64), bits, keys)
        outside = np.flatnonzero(moved >= self.size)
        while len(outside):
            moved[outside] = _network(moved[outside], bits, keys)
            outside = outside[moved[outside] >= self.size]
        return moved.astype(np.int64)


def _network(numbers: Numbers, bits: int, keys: Numbers) -> Numbers:
    """Numbers of `bits` bits, moved: one half in turn is changed by a function of the other."""
    low = bits // 2
    left, right = numbers >> np.uint64(low), numbers & np.uint64(2**low - 1)
    for first, second in zip(keys[::2], keys[1::2], strict=True):
        left = left ^ (_mixed(right + first) >> np.uint64(64 - bits + low))
        right = right ^ (_mixed(left + second) >> np.uint64(64 - low))
    return (left << np.uint64(low)) | right


def _mixed(numbers: Numbers) -> Numbers:
    """Numbers of 64 bits that look random (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
