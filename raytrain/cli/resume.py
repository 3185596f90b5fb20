"""`raytrain resume`: takes up a run that has ended or was lost, from its last checkpoint."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.errors import ExitCode


def command(
    run: options.Run,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Where its job is now, if it has moved.")] = None,
    set_: options.Set = None,
    force: Annotated[bool, typer.Option("--force", help="Take the job as it is now, though it has changed.")] = False,
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
    from raytrain.cli.follow import follow_submitted
    from raytrain.client.find_run import find
    from raytrain.client.resume import resume

    began, out = time.time(), Output(json=wants_json(json, output), quiet=quiet)
    record = find(run, address=address, storage=storage, goes_on=True)
    submitted = resume(
        record,
        job=job,
        overrides=set_ or (),
        force=force,
        address=address,
        submitted_at=began,
        progress=out.say,
    )
    stream = sys.stderr if wait and not detach else None
    return follow_submitted(submitted, out, stream=stream, timeout_s=timeout, verbose=verbose, attached=attached)
