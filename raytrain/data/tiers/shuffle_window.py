"""The shuffle window: of the rows that stream by, a bounded number is held, and each batch is drawn from them.

Runs in: every Train worker of the streaming tier.

What is drawn depends on the order of the rows and on the generator alone, neither on how the rows come in blocks nor on
when: before each draw the window holds exactly `capacity` rows more than are drawn, until the rows run out.
"""

from __future__ import annotations

import numpy as np

from raytrain.data.packed import Arrays, Rows, leaves


class Window:
    """Holds up to `capacity` rows and those of one draw.

    Args:
        example: some rows, whose shapes and types all others share.
        rows: how many will come by in all.
        capacity: rows among which a draw chooses, beside its own; 0 keeps the order.
    """

    def __init__(self, example: Arrays, *, rows: int, capacity: int, generator: np.random.Generator) -> None:
        self._pool = [np.empty((0, *leaf.shape[1:]), leaf.dtype) for leaf in leaves(example)]
        self._held = 0
        self._to_come = rows
        self._capacity = capacity
        self._generator = generator

    def missing(self, drawn: int) -> int:
        """How many rows have to be added before that many are drawn."""
        return min(self._to_come, max(0, self._capacity + drawn - self._held))

    def add(self, arrays: Arrays, rows: Rows) -> None:
        """Adds these rows of the arrays."""
        needed = self._held + len(rows)
        for number, leaf in enumerate(leaves(arrays)):
            pool = self._pool[number]
            if len(pool) < needed:
                larger = np.empty((max(needed, min(2 * len(pool), self._capacity)), *pool.shape[1:]), pool.dtype)
                larger[: self._held] = pool[: self._held]
                self._pool[number] = pool = larger
            pool[self._held : needed] = leaf[rows]
        self._held = needed
        self._to_come -= len(rows)

    def draw(self, rows: int) -> list[np.ndarray]:
        """That many rows, which leave the window; one array (rows, …) for each of `leaves`."""
        kept = self._held - rows
        if self._capacity == 0:
            assert kept == 0, "without a window, what is added is drawn"
            chosen = np.arange(rows)
        else:
            chosen = self._generator.choice(self._held, rows, replace=False)
        drawn = [pool[chosen] for pool in self._pool]
        holes = chosen[chosen < kept]
        stay = np.ones(rows, bool)
        stay[chosen[chosen >= kept] - kept] = False
        movers = kept + np.flatnonzero(stay)
        for pool in self._pool:
            pool[holes] = pool[movers]
        self._held = kept
        return drawn
