"""`raytrain extend`: goes on from a finished run's whole state, as a new run."""

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
    set_: options.Set = None,
    force: Annotated[bool, typer.Option("--force", help="Take changes of the job as meant.")] = False,
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
    """Go on from a finished run's whole state, as a new run.

    With --set fit.epochs=50, say, which counts from the first epoch of the run that is extended. The new run is of the
    job as it was submitted. It begins with the run's weights, optimizer, callbacks and epoch number, and its history
    has the run's epochs first; the run itself is left as it is.

    Exit code 2 for a run that goes on or has no epoch left, 3 for a change that decides the answer; else as submit.
    """
    from raytrain.cli.follow import follow_submitted
    from raytrain.client.extend import extend
    from raytrain.client.find_run import find

    began, out = time.time(), Output(json=wants_json(json, output), quiet=quiet)
    record = find(run, address=address, storage=storage, goes_on=True)
    submitted = extend(record, overrides=set_ or (), force=force, address=address, submitted_at=began, progress=out.say)
    stream = sys.stderr if wait and not detach else None
    return follow_submitted(submitted, out, stream=stream, timeout_s=timeout, verbose=verbose, attached=attached)
