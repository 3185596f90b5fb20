"""`raytrain logs`: the log of a run's driver or of one worker, from the run's directory, else from the cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from raytrain.clean_text import clean
from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import get


def command(
    run: options.Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run ends.")] = False,
    tail: Annotated[int | None, typer.Option(metavar="N", min=0, help="Begin with the last N lines only.")] = None,
    rank: Annotated[
        int | None, typer.Option(metavar="R", min=0, help="The worker of this rank, instead of the driver.")
    ] = None,
    attempt: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of this attempt; else of the last.")] = None,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
) -> None:
    """Print the log of a run's driver or of one worker.

    With --json one object a line: {"run", "attempt", "rank", "line"}; rank is null for the driver.
    """
    out = Output(json=wants_json(json, output))
    lines = get(run, address=address, storage=storage).logs(rank=rank, attempt=attempt, tail=tail, follow=follow)
    for line in lines:
        if out.json:
            out.result_json(replace(line, line=clean(line.line)).to_dict(), indent=None)
        else:
            out.result(line.line)
