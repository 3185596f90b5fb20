"""`raytrain list`: the runs submitted from this machine, newest first, as their directories have them."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output

_COLUMNS = ("run", "status", "reason", "epochs", "workers", "metrics", "submitted")


def command(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=0, help="At most so many; 0 for all.")] = 20,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """List the runs submitted from this machine, newest first.

    The status is the one last written to the run's directory; raytrain status RUN asks the cluster, too.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
