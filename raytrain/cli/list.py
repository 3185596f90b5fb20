"""`raytrain list`: the runs submitted from this machine, newest first."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.display.run_table import run_table
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import runs


def command(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=0, help="At most so many; 0 for all.")] = 20,
    wide: Annotated[bool, typer.Option("--wide", "-w", help="Every metric, however wide the terminal is.")] = False,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """List the runs submitted from this machine, newest first.

    With --storage the runs in that directory, whoever submitted them. The table is as wide as the terminal, or as
    COLUMNS says, 80 where neither is known; --wide and --json have all.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    found = runs(limit=limit or None, storage=storage)
    if out.json:
        out.result_json(found.to_dict())
        return
    if not found.rows:
        out.say("no run yet; raytrain submit JOB begins one")
        return
    table = run_table(found.rows, width=None if wide else shutil.get_terminal_size().columns)
    out.result(*table)
    if table != run_table(found.rows):
        out.say("--wide shows all columns, and every metric")
    if found.total > len(found.rows):
        out.say(f"{found.total - len(found.rows):,} older runs; --limit 0 lists all")
