"""Follows one attempt of a run to its end: the stream, the fold, the display, and how it is left."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

from raytrain import formatting
from raytrain.cli.display.plain import PlainDisplay
from raytrain.cli.output import Output, is_terminal
from raytrain.client.log_tail import Tail
from raytrain.client.watch import Gatherer, Idle, StatusChange, watch
from raytrain.errors import Problem, WaitTimedOut
from raytrain.run.events import Event
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary


class Display(Protocol):
    """Shows a run's progress; `LiveDisplay` on a terminal, `PlainDisplay` elsewhere."""

    def show(self, item: Event | StatusChange | Idle, summary: RunSummary) -> None: ...
    def note(self, line: str) -> None: ...
    def close(self) -> None: ...


class NoDisplay:
    """Shows nothing, for `--quiet`."""

    def show(self, item: Event | StatusChange | Idle, summary: RunSummary) -> None: ...
    def note(self, line: str) -> None: ...
    def close(self) -> None: ...


def open_display(stream: TextIO | None, out: Output) -> Display:
    """The display that fits `stream`, which is stdout, stderr, or None for no display."""
    if out.quiet or stream is None:
        return NoDisplay()
    if is_terminal(stream):
        from raytrain.cli.display.live import LiveDisplay

        return LiveDisplay(stream)
    return PlainDisplay(out.result if stream is sys.stdout else out.say, out.say)


def follow(
    gatherer: Gatherer,
    summary: RunSummary,
    display: Display,
    *,
    deadline: Deadline | None = None,
    job_log: Tail | None = None,
) -> None:
    """Shows the run until it ends, and adds all that is learned to `summary`, however this is left.

    Args:
        gatherer: where the run's facts come from.
        summary: what is known of the run before.
        display: shows them; closed in any case.
        deadline: until when to follow at most.
        job_log: the job's own log, to be shown too; for `--verbose`.

    Raises:
        WaitTimedOut: the deadline passed; the run goes on.
        StateUnknown: the cluster fell silent.
    """
    try:
        for item in watch(gatherer):
            absorb(summary, item)
            display.show(item, summary)
            for line in job_log.new() if job_log else ():
                display.note(line)
            if deadline and not summary.status.is_terminal:
                deadline.check()
        for line in job_log.new(last=True) if job_log else ():
            display.note(line)
    finally:
        display.close()


def absorb(summary: RunSummary, item: Event | StatusChange | Idle) -> None:
    """Adds one item of the stream to what is known; the log's word on the end counts before the job's."""
    if isinstance(item, Event):
        summary.add(item)
    elif isinstance(item, StatusChange) and item.final:
        told = (RunStatus.UNKNOWN, RunStatus.SUCCEEDED)
        if not summary.status.is_terminal and item.status in told and item.message:
            summary.warnings.append(item.message)
        summary.conclude(item.status, reason=item.reason, error=item.error)
    elif isinstance(item, StatusChange) and summary.status is RunStatus.PENDING:
        summary.status = item.status


class Deadline:
    """The moment when a command stops waiting for a run; none when `timeout_s` is None."""

    def __init__(self, run: str, timeout_s: float | None) -> None:
        self._run = run
        self._timeout_s = timeout_s
        self._began_at = time.monotonic()

    def check(self) -> None:
        """Raises WaitTimedOut when the moment has come."""
        if self._timeout_s is None or time.monotonic() < self._began_at + self._timeout_s:
            return
        raise WaitTimedOut(
            Problem(
                got=f"no end of {self._run} within {formatting.seconds(self._timeout_s)}",
                expected="the run to end; it goes on",
                fix=f"raytrain watch {self._run} comes back to it, raytrain stop {self._run} stops it",
            )
        )


def say_detached(run: str, out: Output) -> None:
    """What a person reads after Ctrl-C."""
    out.warn(
        "",
        f"detached: {run} goes on",
        f"  raytrain watch {run}    to come back",
        f"  raytrain stop {run}     to stop it",
    )
