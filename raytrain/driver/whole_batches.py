"""Deals whole batches of rows to workers: those of one process's `evaluate`, whoever computes each.

Runs in: the driver. Pure but for references.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Call:
    """Some consecutive batches, all full but the last of its stream. `pieces`: blocks with the places of their rows."""

    number: int
    pieces: list[tuple[Any, Rows]]

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, rows in self.pieces)


@dataclass(kw_only=True)
class BatchStream:
    """Rows that make up batches together: all of them, or those of one slice.

    Attributes:
        call_rows: of a call, a whole number of batches.
        rows: that came so far.
    """

    call_rows: int
    rows: int = 0
    _waiting: list[tuple[Any, Rows]] = field(default_factory=list)
    _held: int = 0
    _number: int = 0

    def add(self, ref: Any, rows: Rows) -> Iterator[Call]:
        """Takes rows of a block; the calls that are full then."""
        self.rows += len(rows)
        while len(rows):
            taken = rows[: self.call_rows - self._held]
            self._waiting.append((ref, taken))
            self._held += len(taken)
            rows = rows[len(taken) :]
            if self._held == self.call_rows:
                yield self._call()

    def end(self) -> Iterator[Call]:
        """The rest."""
        if self._waiting:
            yield self._call()

    def _call(self) -> Call:
        call = Call(number=self._number, pieces=self._waiting)
        self._waiting, self._held, self._number = [], 0, self._number + 1
        return call


def call_rows(rows: int, *, batch_size: int, workers: int, row_bytes: int) -> int:
    """Rows of a call: a whole number of batches, some for each worker, of some bytes at most."""
    most = max(1, (16 << 20) // (row_bytes * batch_size))
    fair = max(1, rows // (batch_size * workers * 4))
    return min(most, fair, 64) * batch_size
