"""A finished epoch, as a run's summary keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raytrain.run.events import EpochEnd, Metrics


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """A finished epoch, counted from 0. `metrics` are pooled; `epoch_s` is the slowest rank's.

    Attributes:
        wait_share: of its time that the rank which waited longest stood still for want of rows, 0 to 1; None where
            nobody measured it.
        wait_rank: that rank.
        skew: how much longer the slowest rank took than the fastest, as a share of its time.
        ended_at: seconds since the epoch; 0 where unknown.
    """

    epoch: int
    metrics: Metrics
    epoch_s: float
    rows_per_s: float
    learning_rate: float | None
    attempt: int
    wait_share: float | None = None
    wait_rank: int | None = None
    skew: float | None = None
    ended_at: float = 0.0

    @classmethod
    def of(cls, event: EpochEnd) -> EpochRow:
        """The row of an epoch's event."""
        shares = [
            wait_s / took_s for wait_s, took_s in zip(event.rank_wait_s, event.rank_seconds, strict=False) if took_s
        ]
        worst = max(range(len(shares)), key=shares.__getitem__) if shares else None
        slowest = max(event.rank_seconds, default=0.0)
        return cls(
            epoch=event.epoch,
            metrics=event.metrics,
            epoch_s=event.seconds,
            rows_per_s=event.rows_per_s,
            learning_rate=event.learning_rate,
            attempt=event.attempt,
            wait_share=None if worst is None else min(1.0, max(0.0, shares[worst])),
            wait_rank=worst,
            skew=1 - min(event.rank_seconds) / slowest if slowest else None,
            ended_at=event.time,
        )

    def to_json(self) -> dict[str, Any]:
        """One flat row: the epoch, every metric, then the rest."""
        rest = {name: getattr(self, name) for name in ("epoch_s", "rows_per_s", "learning_rate", "attempt")}
        return {"epoch": self.epoch, **self.metrics, **rest}
