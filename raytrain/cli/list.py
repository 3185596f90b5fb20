"""`raytrain list`: the runs submitted from this machine, newest first."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output, columns


def command(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=0, help="At most so many; 0 for all.")] = 20,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """List the runs submitted from this machine, newest first.

    With --storage the runs in that directory, whoever submitted them.
    """
    from raytrain.client.run_list import standings

    out = Output(json=wants_json(json, output), quiet=quiet)
    rows, total = standings(limit=limit or None, storage=storage)
    if out.json:
        out.result_json({"schema_version": 1, "runs": rows})
        return
    if not rows:
        out.say("no run yet; raytrain submit JOB begins one")
        return
    out.result(*columns(["run", "status", "reason", "epochs", "workers", "metrics", "submitted"], map(_cells, rows)))
    if total > len(rows):
        out.say(f"{total - len(rows):,} older runs; --limit 0 lists all")


def _cells(row: dict[str, Any]) -> list[str]:
    planned = f"/{row['epochs_planned']}" if row["epochs_planned"] else ""
    return [
        row["run"],
        row["status"],
        row["reason"] or "-",
        f"{row['epochs']}{planned}" if row["epochs"] is not None else "-",
        str(row["workers"] or "-"),
        formatting.metrics(row["metrics"]) or "-",
        formatting.moment(row["submitted_at"]),
    ]
