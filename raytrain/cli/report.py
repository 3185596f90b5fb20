"""`raytrain report`: a run as one HTML file to keep."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.output import Output
from raytrain.client.api import get


def command(
    run: options.Run,
    file: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; RUN.html when left out.")
    ] = None,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run as one HTML page to keep.

    Verdict, curves, timing, events, rows, environment and job; it opens from disk without a network. The run's
    directory has the same page as report.html, written anew while the run goes on.
    """
    out = Output(json=json, quiet=quiet)
    written = get(run, address=address, storage=storage).report(file)
    if out.json:
        out.result_json(written.to_dict())
    else:
        out.result(str(written.file))
