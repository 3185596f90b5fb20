"""`raytrain stop`: stops a run, and waits until it has stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.display.run_result import print_summary
from raytrain.cli.follow import follow_to_end
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.find_run import find
from raytrain.client.run_view import RunView
from raytrain.client.stop import stop


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
    view = RunView(find(run, address=address, storage=storage))
    summary = view.look()
    if summary.status.is_terminal:
        out.say(f"{summary.run} had ended before: {summary.status}")
        print_summary(summary, out)
        return
    out.warn(*stop(view.record, view.attempt, now=now))
    out.say(f"stopping {summary.run}")
    if wait:
        follow_to_end(view, out, timeout_s=timeout)
    else:
        print_summary(summary, out)
