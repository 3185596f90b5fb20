"""`raytrain resume`: takes up a run that has ended or was lost, from its last checkpoint."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.attend import attend
from raytrain.cli.display.run_result import print_standing
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client import known_run
from raytrain.errors import ExitCode, Problem, UsageError
from raytrain.run.run_status import RunStatus


def command(
    run: options.Run,
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Where the run's job is now, if it has moved.")
    ] = None,
    set_: options.Set = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume with the job as it is now, though it has changed.")
    ] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    wait: options.Wait = True,
    detach: options.Detach = False,
    attached: options.Attached = False,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> ExitCode | None:
    """Take up a run that has ended or was lost.

    A run that failed, was stopped, or whose driver or cluster was lost goes on from its last checkpoint, as its next
    attempt, in the same directory. Its job must be the one that was submitted: a change of
    the code or of a field that decides the answer is refused with exit code 3, unless --force takes it as meant.
    fit.epochs, fit.time_limit, scaling, checkpoint, restarts, watchdog and environment may change at will.

    Exit code 2 for a run that goes on or has succeeded; else as submit.
    """
    submitted_at = time.time()
    out = Output(json=wants_json(json, output), quiet=quiet)
    record = known_run.find(run, address=address, storage=storage, goes_on=True)
    gatherer = known_run.gatherer(record)
    summary = known_run.seen_now(record, gatherer)
    _refuse(record.run, summary.status)
    from raytrain.client.resume import resume

    submitted = resume(
        record,
        seen=max(gatherer.attempt, summary.attempts),
        job=job,
        overrides=set_ or (),
        force=force,
        address=address,
        submitted_at=submitted_at,
        progress=out.say,
    )
    out.warn(*(f"warning: {warning}" for warning in submitted.warnings))
    out.say(f"attempt {submitted.request.attempt} of {record.run}", f"dashboard: {submitted.request.dashboard_url}")
    begun = known_run.begun(submitted.record)
    if wait and not detach:
        return attend(
            submitted.record,
            begun,
            out,
            stream=sys.stderr,
            timeout_s=timeout,
            verbose=verbose,
            attached=attached,
            resubmits=True,
        )
    if out.json:
        print_standing(begun, out)
    else:
        out.result(record.run)
    return None


def _refuse(run: str, status: RunStatus) -> None:
    """A run whose state cannot be known may be resumed: its lease keeps two drivers apart."""
    if status is RunStatus.SUCCEEDED:
        fix = "init_from in a new job begins with its model"
        raise UsageError(Problem(got=f"{run}, which has SUCCEEDED", expected="a run that was not done", fix=fix))
    if not status.is_terminal and status is not RunStatus.UNKNOWN:
        fix = f"raytrain watch {run} follows it, raytrain stop {run} ends it"
        raise UsageError(Problem(got=f"{run}, which is {status}", expected="a run that has ended", fix=fix))
