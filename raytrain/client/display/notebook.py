"""Shows a run's progress in a notebook's cell: one picture that is put in the place of the one before.

It needs no widget: IPython's `update_display` is part of every Jupyter front end, and the picture is plain HTML.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from raytrain.client.display.html import run_html
from raytrain.client.watch import Idle, StatusChange
from raytrain.run import events
from raytrain.run.event_lines import event_line
from raytrain.run.status_words import waiting_for
from raytrain.run.summary import RunSummary

_EVERY_S = 0.5  # a front end draws no faster, and keeps whatever it is sent
_NOTES = 5


class NotebookDisplay:
    """Draws the run in the cell that runs now, a few times a second at most, and leaves the last picture standing."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at, self._drawn_at = clock(), float("-inf")
        self._summary: RunSummary | None = None
        self._notes: list[str] = []
        self._job_message = ""
        self._handle: Any = _ipython().display(self._picture(), display_id=True)

    def show(self, item: events.Event | StatusChange | Idle, summary: RunSummary) -> None:
        self._summary = summary
        if isinstance(item, StatusChange):
            self._job_message = item.message
        elif isinstance(item, events.Event) and not isinstance(item, events.EpochEnd):
            self._keep(event_line(item, summary))
        self._draw(at_once=isinstance(item, StatusChange))

    def note(self, line: str) -> None:
        self._keep(line)
        self._draw(at_once=True)

    def close(self) -> None:
        self._draw(at_once=True)

    def _keep(self, line: str) -> None:
        self._notes = [*self._notes, line][-_NOTES:] if line else self._notes

    def _draw(self, *, at_once: bool) -> None:
        if at_once or self._clock() - self._drawn_at >= _EVERY_S:
            self._drawn_at = self._clock()
            self._handle.update(self._picture())

    def _picture(self) -> Any:
        summary, waiting = self._summary, ""
        if summary is None:
            return _ipython().HTML("<em>asking the cluster …</em>")
        if not summary.status.is_terminal and not summary.epochs:
            waiting = f"{waiting_for(summary, self._job_message)} … {self._clock() - self._began_at:.0f}s"
        return _ipython().HTML(run_html(summary, waiting=waiting, notes=self._notes))


def _ipython() -> Any:
    """Jupyter's own module, which every kernel has and nothing else needs."""
    return importlib.import_module("IPython.display")
