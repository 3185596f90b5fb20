"""Keeps `report.html`: the run as a page that can be opened while it lives, and after.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic, thread_time, time

from raytrain.files import write_whole
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.run.events import EpochEnd, Event, GroupFailed, Placed, Queued, RunFinished
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary

_EVERY_S = 5.0
_REST = 100  # times as long as a writing took: it has a hundredth of the run's time at most
_WORTH_WRITING = (Queued, Placed, EpochEnd, GroupFailed)  # before them the driver has better things to do


class PageFile:
    """The file of a run, written whole when something has happened, but seldom; and once when the run has ended.

    Args:
        earlier: the events of the attempts before.
        spent: seconds of the processor that this thread has had, which is what a page costs the run.
    """

    def __init__(
        self,
        paths: RunPaths,
        *,
        earlier: Iterable[Event] = (),
        clock: Callable[[], float] = monotonic,
        spent: Callable[[], float] = thread_time,
    ) -> None:
        self._paths, self._clock, self._spent = paths, clock, spent
        self._history = History()
        self._next_s = clock()
        before = RunSummary(run=paths.run)
        for event in earlier:
            before.add(event)
            self._history.add(event, before)

    def take(self, event: Event, summary: RunSummary) -> None:
        self._history.add(event, summary)
        has_ended = isinstance(event, RunFinished)
        if has_ended or (isinstance(event, _WORTH_WRITING) and self._clock() >= self._next_s):
            self._write(summary)

    def close(self) -> None:
        """The last event is the run's end, with which the page was written."""

    def _write(self, summary: RunSummary) -> None:
        from raytrain.report.run_page import run_page  # Jinja takes a moment, which the start has not

        began_s = self._spent()
        page = run_page(summary, self._history, JobFiles.of(self._paths), now=time())
        write_whole(self._paths.report, page)
        self._next_s = self._clock() + max(_EVERY_S, _REST * (self._spent() - began_s))
