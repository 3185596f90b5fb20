"""What a dealer promises its workers: bounded look-ahead, and that none waits for another's sake."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raytrain.data.tiers.dealer import Dealer, DealtBlock
from raytrain.data.tiers.dealt import BlockRows, Dealt, Pass

PASS = Pass(source="train", splits=("train",), epoch=0)
BLOCKS = 50


class Source:
    """A pass of blocks of 10 bytes, each with a piece for every rank; counts what was read."""

    def __init__(self, workers: int, *, fails_at: int | None = None, only_rank: int | None = None) -> None:
        self.workers = workers
        self.read = 0
        self.closed = threading.Event()
        self._fails_at = fails_at
        self._only_rank = only_rank

    def __call__(self, deal: Pass) -> Generator[DealtBlock, None, None]:
        try:
            for number in range(BLOCKS):
                if number == self._fails_at:
                    raise ValueError("broken file")
                self.read += 1
                piece = BlockRows(split="train", block=number, rows=np.arange(3))
                ranks = range(self.workers)
                pieces = [[piece] if self._only_rank in (None, rank) else [] for rank in ranks]
                yield DealtBlock(pieces=pieces, bytes=10)
        finally:
            self.closed.set()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def drain(dealer: Dealer, rank: int) -> list[int]:
    blocks: list[int] = []
    while not (dealt := await dealer.next(PASS, rank)).ended:
        assert dealt.error is None
        blocks += [piece.block for piece in dealt.pieces]
    return blocks


async def settled(source: Source) -> int:
    """How many blocks have been read once no more are."""
    seen = -1
    while seen != source.read:
        seen = source.read
        await asyncio.sleep(0.1)
    return seen


@pytest.mark.parametrize("workers", [1, 3])
def test_every_rank_gets_its_pieces_in_order(workers: int) -> None:
    async def scenario() -> None:
        dealer = Dealer(Source(workers), workers, ahead_bytes=40)
        blocks = await asyncio.gather(*(drain(dealer, rank) for rank in range(workers)))
        assert blocks == [list(range(BLOCKS))] * workers

    run(scenario)


def test_reading_goes_no_further_ahead_than_the_bound() -> None:
    async def scenario() -> None:
        source = Source(1)
        dealer = Dealer(source, 1, ahead_bytes=40)
        taken = len((await dealer.next(PASS, 0)).pieces)
        while source.read < BLOCKS:
            assert await settled(source) <= taken + 5  # 4 that are held, 1 that waits
            taken += len((await dealer.next(PASS, 0)).pieces)
        await drain(dealer, 0)
        await asyncio.to_thread(source.closed.wait, 5)

    run(scenario)


def test_a_rank_that_waits_is_never_held_up_by_one_that_does_not_take() -> None:
    async def scenario() -> None:
        dealer = Dealer(Source(2), 2, ahead_bytes=10)
        assert await drain(dealer, 0) == list(range(BLOCKS))
        assert await drain(dealer, 1) == list(range(BLOCKS))

    run(scenario)


def test_a_rank_without_rows_sees_the_end() -> None:
    async def scenario() -> None:
        dealer = Dealer(Source(2, only_rank=0), 2, ahead_bytes=10)
        blocks = await asyncio.gather(drain(dealer, 0), drain(dealer, 1))
        assert list(blocks) == [list(range(BLOCKS)), []]

    run(scenario)


def test_one_rank_that_leaves_does_not_stop_the_others() -> None:
    async def scenario() -> None:
        dealer = Dealer(Source(2), 2, ahead_bytes=10)
        await dealer.next(PASS, 1)
        await dealer.leave(PASS, 1)
        assert await drain(dealer, 0) == list(range(BLOCKS))

    run(scenario)


def test_reading_stops_at_once_when_all_have_left() -> None:
    async def scenario() -> None:
        source = Source(2)
        dealer = Dealer(source, 2, ahead_bytes=10)
        await asyncio.gather(dealer.next(PASS, 0), dealer.next(PASS, 1))
        for rank in (0, 1):
            await dealer.leave(PASS, rank)
        began = time.monotonic()
        assert await asyncio.to_thread(source.closed.wait, 5)
        assert time.monotonic() - began < 1
        assert source.read < BLOCKS

    run(scenario)


def test_the_next_epoch_is_begun_early_and_left_if_another_is_asked_for() -> None:
    async def scenario() -> None:
        begun: list[Pass] = []
        sources = [Source(1) for _ in range(4)]

        def read(deal: Pass) -> Generator[DealtBlock, None, None]:
            begun.append(deal)
            return sources[len(begun) - 1](deal)

        dealer = Dealer(read, 1, ahead_bytes=10)
        first = replace(PASS, recurs=True)
        while not (await dealer.next(first, 0)).ended:
            pass
        await asyncio.sleep(0.2)
        assert begun == [first, first.following]
        assert (first.following.epoch, first.following.visit) == (1, 1)
        assert await settled(sources[1]) < 5
        other = replace(first, epoch=7, visit=1)
        await dealer.next(other, 0)
        assert begun[2] == other
        assert await asyncio.to_thread(sources[1].closed.wait, 5)
        assert (await dealer.next(first.following, 0)).pieces  # not forgotten, only begun anew
        await dealer.leave(first.following, 0)
        await dealer.leave(other, 0)
        assert await asyncio.to_thread(sources[2].closed.wait, 5)

    run(scenario)


def test_leaving_wakes_the_call_that_waits() -> None:
    async def scenario() -> None:
        stuck = threading.Event()

        def never(deal: Pass) -> Generator[DealtBlock, None, None]:
            stuck.wait(10)
            yield DealtBlock(pieces=[[]], bytes=0)

        dealer = Dealer(never, 1, ahead_bytes=10)
        waiting = asyncio.create_task(dealer.next(PASS, 0))
        await asyncio.sleep(0.05)
        await dealer.leave(PASS, 0)
        assert (await waiting).ended
        stuck.set()
        await asyncio.sleep(0.1)

    run(scenario)


def test_an_error_of_the_source_reaches_every_rank_that_waits() -> None:
    async def scenario() -> None:
        dealer = Dealer(Source(3, fails_at=0), 3, ahead_bytes=10)
        hands: list[Dealt] = await asyncio.gather(*(dealer.next(PASS, rank) for rank in range(3)))
        assert [str(dealt.error) for dealt in hands] == ["broken file"] * 3

    run(scenario)
