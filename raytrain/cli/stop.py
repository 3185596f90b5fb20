"""`raytrain stop`: stops a run, and waits until it has stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options, runs
from raytrain.cli.follow import NoDisplay, follow_to_end
from raytrain.cli.options import Format, wants_json
from raytrain.cli.outcome import print_standing
from raytrain.cli.output import Output
from raytrain.run import submission_id


def command(
    run: options.Run,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has stopped.")] = True,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Stop a run and wait until it has stopped.

    Exit code 0 once the run is over, however it ended; a run that had ended before is left as it is.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    record = runs.find(run, address=address, storage=storage)
    gatherer = runs.gatherer(record)
    summary = runs.seen_now(record, gatherer)
    if summary.status.is_terminal:
        out.say(f"{record.run} had ended before: {summary.status}")
        print_standing(summary, out)
        return
    runs.connect(record).stop(submission_id(record.run, gatherer.attempt))
    out.say(f"stopping {record.run}")
    if wait:
        follow_to_end(gatherer, summary, out, display=NoDisplay(), timeout_s=timeout)
    else:
        print_standing(summary, out)
