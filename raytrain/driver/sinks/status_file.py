"""Keeps `status.json`: what the run's events add up to.

Runs in: the driver.
"""

from __future__ import annotations

from pathlib import Path

from raytrain.files import write_whole
from raytrain.run.event_json import json_line
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary


class StatusFile:
    """The file of a run, written whole after each event; of those that wait, after the newest."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, event: Event, summary: RunSummary) -> None:
        write_whole(self._path, json_line(summary.to_dict()))

    def close(self) -> None:
        """Nothing is open."""
