"""Shows a run's progress as plain lines, where there is no terminal: one an epoch, no control characters."""

from __future__ import annotations

import time
from collections.abc import Callable

from raytrain import formatting
from raytrain.client.display.pace import first_epoch
from raytrain.client.watch import Idle, StatusChange
from raytrain.run import events
from raytrain.run.event_lines import event_line
from raytrain.run.status_words import waiting_for
from raytrain.run.summary import RunSummary

HEARTBEAT_S = 60.0


class PlainDisplay:
    """Prints a line for what happens; while nothing has happened for a minute, one that says what it waits for.

    Args:
        write: prints a line of progress.
        note: prints a line that is not of the run's progress, such as one of the job's log.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        note: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self.note = note
        self._clock = clock
        self._began_at = self._spoke_at = clock()
        self._job_message = ""

    def show(self, item: events.Event | StatusChange | Idle, summary: RunSummary) -> None:
        line = ""
        if isinstance(item, events.Event):
            line = event_line(item, summary)
        elif isinstance(item, StatusChange):
            self._job_message = item.message
            line = item.message if item.silent else ""
        elif self._clock() - self._spoke_at >= HEARTBEAT_S and not summary.status.is_terminal:
            waited = formatting.seconds(self._clock() - self._began_at)
            doing = first_epoch(summary) or waiting_for(summary, self._job_message)
            line = f"{summary.status.lower()}: {doing} ({waited})"
        if line:
            self._write(line)
            self._spoke_at = self._clock()

    def close(self) -> None:
        """Nothing to put away."""
