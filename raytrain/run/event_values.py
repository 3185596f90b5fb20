"""What events hold that is more than a number, a text or a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best epoch so far (counted from 0) by the value of the metric that is monitored."""

    epoch: int
    monitor: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class SplitShards:
    """How the rows of one split are divided: `rows` in all, `steps` an epoch, `dropped` in every epoch."""

    rows: int
    steps: int
    rows_per_worker: Sequence[int]
    dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class RankPlace:
    """Where a rank runs: the address of its `node`, and its process there."""

    node: str
    pid: int
