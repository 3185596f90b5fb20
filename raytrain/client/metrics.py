"""A run's metrics, one row an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raytrain.run.events import SCHEMA_VERSION
from raytrain.run.summary import EpochRow, RunSummary


@dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """The finished epochs of a run, in order."""

    run: str
    epochs: tuple[EpochRow, ...]

    @classmethod
    def of(cls, summary: RunSummary) -> RunMetrics:
        return cls(run=summary.run, epochs=tuple(summary.epoch_rows()))

    def to_dict(self) -> dict[str, Any]:
        """As `metrics --json` prints it."""
        return {"schema_version": SCHEMA_VERSION, "run": self.run, "epochs": [row.to_json() for row in self.epochs]}
