"""The dealer: an actor that reads sources with Ray Data and hands every worker the references of its rows.

Runs in: an actor process on the driver's node, one for each worker group; it owns the blocks, which end with it.

No row passes through it. It reads ahead of the workers by a bounded number of bytes, then waits; but never while a
worker waits for rows, so that none can hang for another's sake.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.data.tiers.dealt import BlockRows, Dealt, Pass

_MOST_PIECES = 16


@dataclass(frozen=True, kw_only=True)
class DealtBlock:
    """A block of a pass. `pieces`: for each rank, its rows of it; `bytes`: of the whole block."""

    pieces: list[list[BlockRows]]
    bytes: int


class Table:
    """What one pass has dealt and its ranks have not taken yet. Of one event loop."""

    def __init__(self, workers: int, *, ahead_bytes: int) -> None:
        self._queues: list[deque[tuple[int, BlockRows]]] = [deque() for _ in range(workers)]
        self._bytes: dict[int, int] = {}  # of each block that some rank has not taken all of its rows of
        self._left: set[int] = set()
        self._waiting: set[int] = set()
        self._ahead_bytes = ahead_bytes
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()
        self._blocks = 0

    @property
    def abandoned(self) -> bool:
        return len(self._left) == len(self._queues)

    async def put(self, block: DealtBlock) -> bool:
        """Deals a block when there is room for it; False when nobody wants it any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.abandoned or self._starving or self._has_room)
            if self.abandoned:
                return False
            self._bytes[self._blocks] = block.bytes
            for rank, pieces in enumerate(block.pieces):
                if rank not in self._left:
                    self._queues[rank].extend((self._blocks, piece) for piece in pieces)
            self._blocks += 1
            self._forget_taken()
            self._changed.notify_all()
            return True

    async def end(self, error: Exception | None = None) -> None:
        """No block comes any more."""
        async with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    async def take(self, rank: int) -> Dealt:
        """The next pieces of a rank; waits for the first."""
        async with self._changed:
            queue = self._queues[rank]
            self._waiting.add(rank)
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: queue or self._ended or rank in self._left)
            finally:
                self._waiting.discard(rank)
            if self._error is not None:
                return Dealt(error=self._error)
            taken = [queue.popleft()[1] for _ in range(min(len(queue), _MOST_PIECES))]
            self._forget_taken()
            self._changed.notify_all()
            return Dealt(pieces=tuple(taken), ended=not taken)

    async def leave(self, rank: int) -> None:
        """The rank wants no more."""
        async with self._changed:
            self._left.add(rank)
            self._queues[rank].clear()
            self._forget_taken()
            self._changed.notify_all()

    async def abandon(self) -> None:
        """Nobody wants any more."""
        for rank in range(len(self._queues)):
            await self.leave(rank)

    @property
    def _starving(self) -> bool:
        return any(not self._queues[rank] for rank in self._waiting)

    @property
    def _has_room(self) -> bool:
        return sum(self._bytes.values()) < self._ahead_bytes

    def _forget_taken(self) -> None:
        wanted = {number for queue in self._queues for number, _ in queue}
        self._bytes = {number: size for number, size in self._bytes.items() if number in wanted}


Reading = Callable[[Pass], Generator[DealtBlock, None, None]]
"""Reads a pass; closing the generator stops the reading. What it raises goes to every worker."""


class Dealer:
    """Serves the passes that its workers ask for, each read by a thread of its own."""

    def __init__(self, read: Reading, workers: int, *, ahead_bytes: int) -> None:
        self._read = read
        self._workers = workers
        self._ahead_bytes = ahead_bytes
        self._tables: dict[Pass, Table] = {}
        self._foreseen: dict[tuple[str, ...], Pass] = {}  # passes that nobody has asked for yet, by their splits

    async def next(self, deal: Pass, rank: int) -> Dealt:
        """The next pieces of a rank in a pass, which begins when the first rank asks for it."""
        foreseen = self._foreseen.get(deal.splits)
        if deal == foreseen:
            del self._foreseen[deal.splits]
        elif deal not in self._tables and foreseen is not None:
            del self._foreseen[deal.splits]
            await self._tables.pop(foreseen).abandon()
        self._begin(deal)
        return await self._tables[deal].take(rank)

    async def leave(self, deal: Pass, rank: int) -> None:
        if deal in self._tables:
            await self._tables[deal].leave(rank)

    def _begin(self, deal: Pass) -> None:
        if deal not in self._tables:
            self._tables[deal] = Table(self._workers, ahead_bytes=self._ahead_bytes)
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._fill, args=(deal, self._tables[deal], loop), daemon=True).start()

    def _foresee(self, deal: Pass) -> None:
        """Begins a pass that will likely be asked for when the one before it has been taken."""
        if deal not in self._tables:
            self._foreseen[deal.splits] = deal
            self._begin(deal)

    def _fill(self, deal: Pass, table: Table, loop: asyncio.AbstractEventLoop) -> None:
        def wait_for(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        blocks = self._read(deal)
        try:
            while (block := next(blocks, None)) is not None:
                if not wait_for(table.put(block)):
                    return
                del block
            wait_for(table.end())
            if deal.recurs:
                loop.call_soon_threadsafe(self._foresee, deal.following)
        except Exception as error:  # noqa: BLE001  of the source or of the user's code: raised on every worker
            wait_for(table.end(error))
        finally:
            blocks.close()


def start_dealer(read: Reading, *, workers: int, ahead_bytes: int) -> Any:
    """A dealer actor on the driver's own node, taking no CPU from the workers."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "scheduling_strategy": here, "max_concurrency": 1000}
    return ray.remote(Dealer).options(**options).remote(read, workers, ahead_bytes=ahead_bytes)
