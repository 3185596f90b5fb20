"""Keeps `metrics.jsonl`: one JSON object an epoch.

Runs in: the driver.
"""

from __future__ import annotations

from pathlib import Path

from raytrain.files import write_whole
from raytrain.run.event_json import json_line
from raytrain.run.events import EpochEnd, Event, Restored
from raytrain.run.summary import EpochRow, RunSummary


class MetricsFile:
    """The file of a run, which is appended to where an epoch follows those that stand in it, else written anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: int | None = None  # rows that stand in it; unknown at first and after a failure

    def take(self, event: Event, summary: RunSummary) -> None:
        """Brings the file up to date after an epoch has ended, or others were forgotten."""
        if not isinstance(event, (EpochEnd, Restored)):
            return
        written, self._written = self._written, None
        epochs = len(summary.epochs)
        if written is not None and epochs == written + 1:  # one event adds one epoch, or forgets some first
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(summary.newest_row()))
        else:
            write_whole(self._path, "".join(_line(row) for row in summary.epoch_rows()))
        self._written = epochs

    def close(self) -> None:
        """Nothing is open."""


def _line(row: EpochRow) -> str:
    return json_line(row.to_json()) + "\n"
