"""The run's event log, or its mirror in Ray's session directory.

Runs in: the driver. From the mirror a client that cannot see the storage reads the log through the dashboard.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raytrain.run.event_log import EventWriter
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary


class EventLogSink:
    """Appends each event; what storage does not take now is written with the next.

    Args:
        earlier: what stands in the log already, and is to stand in this copy of it.
    """

    def __init__(self, path: Path, *, earlier: Iterable[Event] = ()) -> None:
        self._writer = EventWriter(path)
        for event in earlier:
            self._writer.append(event)

    def take(self, event: Event, summary: RunSummary) -> None:
        self._writer.append(event)

    def close(self) -> None:
        self._writer.close()
