"""Stays with a run to its end for `submit`, `watch`, `wait`, `resume` and `stop`, over as many attempts as it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TextIO

from raytrain.cli.display.run_result import exit_code, print_run, print_standing
from raytrain.cli.follow import Deadline, follow, open_display, say_detached
from raytrain.cli.output import Output
from raytrain.client import known_run
from raytrain.client.registry import RunRecord
from raytrain.client.watch import Gatherer
from raytrain.errors import ClusterError, ExitCode, NotFound, RaytrainError, StateUnknown, UsageError, WaitTimedOut
from raytrain.run.run_id import submission_id
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary


def attend(
    record: RunRecord,
    summary: RunSummary,
    out: Output,
    *,
    gatherer: Gatherer | None = None,
    stream: TextIO | None = None,
    timeout_s: float | None = None,
    verbose: bool = False,
    attached: bool = False,
    resubmits: bool = False,
) -> ExitCode:
    """Follows the run and prints what it came to, or what is known when the wait ends before the run does.

    Args:
        record: the run.
        summary: what is known of it; grows.
        out: where results and words go.
        gatherer: where the run's facts come from, where some were asked for before.
        stream: shows progress there; nowhere when None.
        timeout_s: how long to stay at most.
        verbose: shows the driver's own log, too.
        attached: the first Ctrl-C stops the run politely; else it leaves the run alone and says how to come back.
        resubmits: a run whose driver is lost is submitted again, as often as its `restarts.driver` allows.

    Raises:
        WaitTimedOut, StateUnknown: as `follow`; what is known was printed.
    """
    deadline = Deadline(record.run, timeout_s)
    gatherer = gatherer or known_run.gatherer(record)
    while True:
        try:
            job_log = known_run.job_log(record, gatherer.attempt) if verbose else None
            follow(gatherer, summary, open_display(stream, out), deadline=deadline, job_log=job_log)
            lost = summary.reason == Reason.DRIVER_LOST
        except KeyboardInterrupt:
            if not attached:
                say_detached(record.run, out)
                if out.json:
                    print_standing(summary, out)
                raise
            attached = False
            _stop(record, gatherer, out)
            continue
        except WaitTimedOut:
            print_run(summary, out)
            raise
        except StateUnknown:
            summary.conclude(RunStatus.UNKNOWN)
            lost = gatherer.answered  # a cluster that was started anew knows no job of the old one
            if not (resubmits and lost and may_resubmit(record, gatherer.attempt)):
                print_run(summary, out)
                raise
        if not (resubmits and lost and may_resubmit(record, gatherer.attempt)):
            print_run(summary, out)
            return exit_code(summary.status)
        try:
            record = resubmit(record, gatherer.attempt, out)
        except RaytrainError:
            print_run(summary, out)
            raise
        gatherer, summary = known_run.gatherer(record), known_run.begun(record)


def may_resubmit(record: RunRecord, attempt: int) -> bool:
    """Whether a run whose driver was lost in this attempt is to be submitted again."""
    from raytrain.client.attempts import submitted_request

    try:
        request = submitted_request(record)
    except NotFound:
        return False
    return attempt - request.last_by_user < request.spec.restarts.driver


def resubmit(record: RunRecord, attempt: int, out: Output) -> RunRecord:
    """Submits a run's next attempt, and says so; where another command that waits was faster, takes up with that."""
    from raytrain.client.attempts import later_attempt

    later = later_attempt(record, attempt)
    if later is None:
        out.warn(f"the driver of attempt {attempt} was lost: submitting attempt {attempt + 1} (restarts.driver)")
        try:
            return _submit_again(record, attempt, out)
        except (UsageError, ClusterError):
            later = later_attempt(record, attempt)
            if later is None:
                raise
    out.warn(f"the driver of attempt {attempt} was lost: attempt {later.attempt} was submitted by another command")
    return later


def _submit_again(record: RunRecord, attempt: int, out: Output) -> RunRecord:
    from raytrain.client.resume import resume

    kept = replace(record, job="")  # the job as it was submitted, whatever became of its folder
    try:
        submitted = resume(kept, seen=attempt, only_next=True, progress=out.say)
    except NotFound:
        submitted = resume(record, seen=attempt, only_next=True, progress=out.say)
    out.warn(*(f"warning: {warning}" for warning in submitted.warnings))
    return replace(submitted.record, job=record.job)


def _stop(record: RunRecord, gatherer: Gatherer, out: Output) -> None:
    out.warn("", f"stopping {record.run} after its step; Ctrl-C again leaves it to end alone")
    known_run.connect(record).stop(submission_id(record.run, gatherer.attempt))
