"""`raytrain fetch`: brings a run's files to this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.output import Output
from raytrain.client.fetch import fetch
from raytrain.client.find_run import find


def command(
    run: options.Run,
    to: Annotated[
        str | None, typer.Option("--output", metavar="DIR", help="A new folder; else ./RUN, the run's id.")
    ] = None,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="These too, to extend the run from.")] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Copy a run's model, metrics, spec and logs to this machine.

    From a directory or an object store, whole or not at all. The copy is a run's directory: every command takes it.
    """
    out = Output(json=json, quiet=quiet)
    record = find(run, address=address, storage=storage)
    fetched = fetch(record, output=to, checkpoints=checkpoints, progress=out.say)
    if out.json:
        out.result_json(fetched.to_dict())
        return
    out.result(fetched.directory)
    model = "" if fetched.model else ", no model among them"
    out.say(f"{formatting.plural(fetched.files, 'file')}, {formatting.size(fetched.bytes)}{model}")
