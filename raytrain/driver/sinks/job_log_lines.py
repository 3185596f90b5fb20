"""The job's log on the dashboard: a line for each event that is worth one.

Runs in: the driver, whose output that log is.
"""

from __future__ import annotations

from raytrain.run.event_lines import event_line, final_line, success_line
from raytrain.run.events import Event
from raytrain.run.job_log import say
from raytrain.run.summary import RunSummary


class JobLogLines:
    """Prints the lines."""

    def take(self, event: Event, summary: RunSummary) -> None:
        if line := event_line(event, summary) or final_line(event) or success_line(event, summary):
            say(line)

    def close(self) -> None:
        """The output is the process' own."""
