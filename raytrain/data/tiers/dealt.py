"""What the dealer (`raytrain.data.tiers.dealer`) hands a worker, and the worker's end of it.

Runs in: every Train worker, and the dealer's actor; imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import ray

from raytrain.data.packed import Arrays, Rows, from_block, map_arrays


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over a source, which all workers read together.

    Attributes:
        source: `train`, or `validation` or `test` where they have their own.
        splits: whose rows are dealt.
        epoch: whose order of files it has; the source's own order when None.
        visit: tells apart passes that are otherwise the same.
        to_all: every worker gets every row, instead of its own.
        recurs: whether the next epoch is likely to ask for the pass that follows, so that it may be begun early.
    """

    source: str
    splits: tuple[str, ...]
    epoch: int | None = None
    visit: int = 0
    to_all: bool = False
    recurs: bool = False

    @property
    def following(self) -> Pass:
        """The same of the next epoch."""
        return replace(self, epoch=None if self.epoch is None else self.epoch + 1, visit=self.visit + 1)


@dataclass(frozen=True, kw_only=True)
class BlockRows:
    """A worker's rows of one block. `block`: in the object store; `rows`: their numbers in it, ascending."""

    split: str
    block: Any
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """The next pieces of a pass; none any more once `ended`. `error`: why reading failed."""

    pieces: tuple[BlockRows, ...] = ()
    ended: bool = False
    error: Exception | None = None


def ignore(*_: object) -> None:
    """Is told and does nothing."""


class Stream:
    """This worker's rows of one pass, in order, of one split.

    The next pieces are asked for while the last ones are worked on.

    Args:
        arrived: called when a piece has come in.
    """

    def __init__(
        self, dealer: Any, deal: Pass, rank: int, example: Arrays, arrived: Callable[[], None] = ignore
    ) -> None:
        self._dealer = dealer
        self._deal = deal
        self._rank = rank
        self._pieces = block_rows_of(dealer, deal, rank)
        self._example = example
        self._arrived = arrived
        self._arrays: Arrays = None
        self._rows: Rows | None = None

    def take(self, most: int) -> tuple[Arrays, Rows]:
        """Up to `most` rows, at least one: the arrays of a block, and which of their rows.

        Raises:
            RuntimeError: there are fewer rows than there were when the job began.
        """
        if self._rows is None or not len(self._rows):
            piece = next(self._pieces, None)
            if piece is None:
                raise RuntimeError(f"{self._deal.source} has fewer rows than when it was counted, or was closed")
            self._arrays = from_block(ray.get(piece.block), self._example)
            self._rows = piece.rows
            self._arrived()
        taken, self._rows = self._rows[:most], self._rows[most:]
        return self._arrays, taken

    def close(self) -> None:
        """Leaves the pass; a `take` that waits ends with an error."""
        self._dealer.leave.remote(self._deal, self._rank)


class AllRows:
    """All rows of a split in the source's order, the same on every worker; each call is a pass of its own.

    Args:
        arrived: called when a piece has come in.
    """

    def __init__(
        self,
        dealer: Any,
        split: str,
        source: str,
        rank: int,
        example: Arrays,
        arrived: Callable[[], None] = ignore,
    ) -> None:
        self._dealer = dealer
        self._pass = Pass(source=source, splits=(split,), to_all=True)
        self._rank = rank
        self._example = example
        self._arrived = arrived

    def __call__(self) -> Iterator[Arrays]:
        deal, self._pass = self._pass, self._pass.following
        for piece in block_rows_of(self._dealer, deal, self._rank):
            arrays = from_block(ray.get(piece.block), self._example)
            self._arrived()
            yield map_arrays(lambda array, rows=piece.rows: array[rows], arrays)


def block_rows_of(dealer: Any, deal: Pass, rank: int) -> Iterator[BlockRows]:
    """The pieces of a rank until the pass has ended.

    Raises:
        RaytrainError: what went wrong in reading the source.
    """
    coming = dealer.next.remote(deal, rank)
    while True:
        dealt: Dealt = ray.get(coming)
        if dealt.error is not None:
            raise dealt.error
        if dealt.ended:
            return
        coming = dealer.next.remote(deal, rank)
        yield from dealt.pieces
        del dealt  # its blocks are freed before the next ones are waited for
