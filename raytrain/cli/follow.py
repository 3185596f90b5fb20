"""Follows a run to its end for `submit`, `resume`, `watch`, `wait` and `stop`, and prints what it came to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from raytrain.cli.display.run_result import exit_code, print_run, print_summary
from raytrain.cli.output import Output
from raytrain.client.display.progress import Display, open_display
from raytrain.client.display.run_phrases import next_steps, takeover_lines
from raytrain.client.logs import job_log
from raytrain.client.run_view import RunView
from raytrain.client.stop import stop
from raytrain.client.takeover import Deadline, Item, Takeover, follow
from raytrain.client.watch import Idle, StatusChange
from raytrain.errors import ExitCode, RaytrainError
from raytrain.run.event_json import to_json

if TYPE_CHECKING:
    from raytrain.client.submit import Submitted


def follow_to_end(
    view: RunView,
    out: Output,
    *,
    stream: TextIO | None = None,
    timeout_s: float | None = None,
    verbose: bool = False,
    attached: bool = False,
    resubmits: bool = False,
) -> ExitCode:
    """Follows the run and prints what it came to, or what is known when the wait ends before the run does.

    Args:
        view: the run.
        out: where results and words go.
        stream: shows progress there; nowhere when None.
        timeout_s: how long to stay at most.
        verbose: shows the driver's own log, too.
        attached: the first Ctrl-C stops the run politely; else it leaves the run alone and says how to come back.
        resubmits: a run whose driver is lost is submitted again, as often as its `restarts.driver` allows.

    Raises:
        WaitTimedOut, StateUnknown, RaytrainError: as `raytrain.client.takeover.follow`; what is known was printed.
    """
    run, deadline = view.record.run, Deadline(view.record.run, timeout_s)
    while True:
        try:
            items = follow(view, deadline=deadline, resubmits=resubmits, progress=out.say)
            _show(items, view, stream, out, verbose=verbose)
        except KeyboardInterrupt:
            if not attached:
                say_detached(run, out)
                if out.json:
                    print_summary(view.summary, out)
                raise
            attached = False
            out.warn("", f"stopping {run} after its step; Ctrl-C again leaves it to end alone")
            stop(view.record, view.attempt)
        except RaytrainError:
            print_run(view.summary, out)
            raise
        else:
            print_run(view.summary, out)
            return exit_code(view.summary.status)


def follow_submitted(
    submitted: Submitted,
    out: Output,
    *,
    stream: TextIO | None,
    timeout_s: float | None,
    verbose: bool,
    attached: bool,
) -> ExitCode | None:
    """Follows what a cluster has just taken; only tells of it where there is no stream to follow it on."""
    request, summary = submitted.request, submitted.summary
    out.warn(*(f"warning: {warning}" for warning in submitted.warnings))
    if stream is None:
        if out.json:
            print_summary(summary, out)
            return None
        out.result(submitted.run)
        out.say(f"dashboard: {submitted.dashboard}", *next_steps(summary))
        return None
    which = f"attempt {request.attempt} of" if request.attempt > 1 else "run"
    out.say(f"{which} {submitted.run}", f"dashboard: {submitted.dashboard}")
    return follow_to_end(
        RunView(submitted.record, submitted.begun),
        out,
        stream=stream,
        timeout_s=timeout_s,
        verbose=verbose,
        attached=attached,
        resubmits=True,
    )


def print_items(view: RunView, out: Output, *, timeout_s: float | None) -> ExitCode:
    """Follows the run for programs: every event as it stands in the log, and every change of the status, a line each.

    Raises:
        RaytrainError: as `raytrain.client.takeover.follow`.
    """
    run = view.record.run
    try:
        for item in follow(view, deadline=Deadline(run, timeout_s), resubmits=True, progress=out.say):
            if isinstance(item, Takeover):
                out.warn(*takeover_lines(item))
            elif not isinstance(item, Idle):
                body = item.to_dict() if isinstance(item, StatusChange) else to_json(item)
                out.result_json(body, indent=None)
    except KeyboardInterrupt:
        say_detached(run, out)
        raise
    return exit_code(view.summary.status)


def say_detached(run: str, out: Output) -> None:
    """What a person reads after Ctrl-C."""
    out.warn(
        "",
        f"detached: {run} goes on",
        f"  raytrain watch {run}    to come back",
        f"  raytrain stop {run}     to stop it",
    )


def _show(items: Iterable[Item], view: RunView, stream: TextIO | None, out: Output, *, verbose: bool) -> None:
    """Shows each item; a display is closed while another attempt is submitted, which has words of its own."""
    display: Display | None = None
    log, attempt = None, 0
    try:
        for item in items:
            if isinstance(item, Takeover):
                if display:
                    display.close()
                display = None
                out.warn(*takeover_lines(item))
            if isinstance(item, Takeover) or stream is None or out.quiet:
                continue
            if verbose and attempt != view.attempt:
                log, attempt = job_log(view.record, view.attempt), view.attempt
            display = display or open_display(
                stream, write=out.result if stream is sys.stdout else out.say, note=out.say
            )
            display.show(item, view.summary)
            is_over = isinstance(item, StatusChange) and item.final
            for line in log.new(last=is_over) if log else ():
                display.note(line)
    finally:
        if display:
            display.close()
