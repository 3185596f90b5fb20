"""Where a worker gets its rows from: what the driver hands it in place of the data.

Runs in: made in the driver, used in every Train worker.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ray

from raytrain.data.packed import Arrays, bytes_per_row, from_block
from raytrain.data.tiers.cache import Cache
from raytrain.data.tiers.dealt import AllRows, Pass, block_rows_of, ignore
from raytrain.data.tiers.readers import Cached, InMemory, Reader, Streamed
from raytrain.spec.shards import ShardPlan


class Shards(Protocol):
    """The rows of every split, as one tier holds them."""

    def fetch(
        self, rank: int, loaded: Callable[[int], None] = ignore, arrived: Callable[[], None] = ignore
    ) -> dict[str, Reader]:
        """What a rank feeds each split from, `train` among them; returns when it can be read.

        Args:
            loaded: told how many rows this rank has loaded so far, where that takes a while.
            arrived: called by what is returned, whenever rows have come in that it has had to wait for.
        """


@dataclass(frozen=True, kw_only=True)
class SharedShards:
    """All rows of every split in Ray's object store, once a node. `refs`: of each split's packed arrays."""

    refs: dict[str, ray.ObjectRef]

    def fetch(
        self, rank: int, loaded: Callable[[int], None] = ignore, arrived: Callable[[], None] = ignore
    ) -> dict[str, Reader]:
        arrays = ray.get(list(self.refs.values()))
        return {split: InMemory(part) for split, part in zip(self.refs, arrays, strict=True)}


@dataclass(frozen=True, kw_only=True)
class DealtShards:
    """Rows that a dealer hands out: cached by each worker in a first pass, or streamed anew every epoch.

    Attributes:
        dealer: the actor.
        plans: how each split is read.
        example: a few rows as all splits have them.
        fills: passes over the sources whose splits are cached; all other splits are streamed.
        sources: of each split, the source that its rows are in.
        memory_bytes: of this worker's rows that are cached in memory; what is more goes to its local disk.
        window_bytes: of rows among which each batch of a streamed epoch is drawn.
    """

    dealer: Any
    plans: dict[str, ShardPlan]
    example: Arrays
    fills: tuple[Pass, ...]
    sources: Mapping[str, str]
    memory_bytes: int
    window_bytes: int

    def fetch(
        self, rank: int, loaded: Callable[[int], None] = ignore, arrived: Callable[[], None] = ignore
    ) -> dict[str, Reader]:
        caches = self._fill(rank, loaded)
        window_rows = max(1, self.window_bytes // bytes_per_row(self.example))
        readers: dict[str, Reader] = {}
        for split, plan in self.plans.items():
            source = self.sources[split]
            all_rows = AllRows(self.dealer, split, source, rank, self.example, arrived)
            if split in caches:
                readers[split] = Cached(caches[split], self.example, rows=plan.rows, all_rows=all_rows)
                continue
            readers[split] = Streamed(
                self.dealer,
                Pass(source=source, splits=(split,), recurs=True),
                self.example,
                rows=plan.rows,
                all_rows=all_rows,
                window_rows=window_rows,
                arrived=arrived,
            )
        return readers

    def _fill(self, rank: int, loaded: Callable[[int], None]) -> dict[str, Cache]:
        cached = [split for deal in self.fills for split in deal.splits]
        rows = {split: self.plans[split].rows_per_worker[rank] for split in cached}
        in_memory = sum(rows.values()) * bytes_per_row(self.example) <= self.memory_bytes
        folder = None if in_memory else Path(tempfile.gettempdir())
        caches = {split: Cache(count, self.example, folder=folder) for split, count in rows.items()}
        for deal in self.fills:
            for piece in block_rows_of(self.dealer, deal, rank):
                caches[piece.split].append(from_block(ray.get(piece.block), self.example), piece.rows)
                loaded(sum(cache.filled for cache in caches.values()))
        for split, cache in caches.items():
            if cache.filled != cache.rows:
                raise RuntimeError(f"{split}: {cache.filled} rows dealt to rank {rank}, {cache.rows} planned")
        return caches
