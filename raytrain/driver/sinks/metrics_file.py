"""Keeps `metrics.jsonl`: one JSON object an epoch.

Runs in: the driver.
"""

from __future__ import annotations

from pathlib import Path

from raytrain.files import write_whole
from raytrain.run import events
from raytrain.run.summary import RunSummary


class MetricsFile:
    """The file of a run, which is appended to where an epoch follows those that stand in it, else written anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: int | None = None  # rows that stand in it; unknown at first and after a failure

    def follow(self, summary: RunSummary) -> None:
        """Brings the file up to date after an epoch has ended, or others were forgotten.

        Raises:
            OSError: the file cannot be written now.
        """
        written, self._written = self._written, None
        epochs = len(summary.epochs)
        if written is not None and epochs == written + 1:  # one event adds one epoch, or forgets some first
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(summary.newest_row()))
        else:
            write_whole(self._path, "".join(_line(row) for row in summary.epoch_rows()))
        self._written = epochs


def _line(row: dict[str, object]) -> str:
    return events.json_line(row) + "\n"
