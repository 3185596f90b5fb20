"""`raytrain stop`: stops a run, and waits until it has stopped."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.attend import attend
from raytrain.cli.display.run_result import print_standing
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client import known_run
from raytrain.client.pulled_files import put
from raytrain.client.registry import RunRecord
from raytrain.run.run_id import submission_id


def command(
    run: options.Run,
    now: Annotated[bool, typer.Option("--now", help="Kill it at once, without a checkpoint.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has stopped.")] = True,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Stop a run and wait until it has stopped.

    The workers finish their step and save a checkpoint, so that raytrain resume can go on from there; with --now they
    are killed, and resume goes on from the last checkpoint that there is.

    Exit code 0 once the run is over, however it ended; a run that had ended before is left as it is.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    record = known_run.find(run, address=address, storage=storage)
    gatherer = known_run.gatherer(record)
    summary = known_run.seen_now(record, gatherer)
    if summary.status.is_terminal:
        out.say(f"{record.run} had ended before: {summary.status}")
        print_standing(summary, out)
        return
    if now:
        _ask_at_once(record, out)
    known_run.connect(record).stop(submission_id(record.run, gatherer.attempt))
    out.say(f"stopping {record.run}")
    if wait:
        attend(record, summary, out, gatherer=gatherer, timeout_s=timeout)
    else:
        print_standing(summary, out)


def _ask_at_once(record: RunRecord, out: Output) -> None:
    """Leaves the sign that the driver looks for; the Jobs API knows one kind of stop only."""
    directory = known_run.paths(record)
    why = "is out of sight here"
    if directory is not None and os.path.isdir(directory.root):
        try:
            directory.stop_now.touch()
            put(directory, directory.stop_now)
            return
        except OSError as error:
            why = f"cannot be written ({error.strerror or error})"
    out.warn(f"the directory of {record.run} {why}, so it is stopped politely")
