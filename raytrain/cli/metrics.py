"""`raytrain metrics`: a run's metrics, one row an epoch."""

from __future__ import annotations

from raytrain import formatting
from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output, columns
from raytrain.client import known_run
from raytrain.run.summary import RunSummary


def command(
    run: options.Run,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Print a run's metrics, one row an epoch.

    Epochs are counted from 1 here, the best one is marked with *; in JSON they are counted from 0.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    summary = known_run.seen_now(known_run.find(run, address=address, storage=storage))
    if out.json:
        out.result_json(
            {"schema_version": 1, "run": summary.run, "epochs": [row.to_json() for row in summary.epoch_rows()]}
        )
        return
    if summary.epochs:
        out.result(*epoch_table(summary))
    else:
        out.say(f"{summary.run} ({summary.status}) has no epochs yet")


def epoch_table(summary: RunSummary) -> list[str]:
    """One line an epoch; a metric that an epoch lacks is a dash."""
    names = summary.metric_names()
    best = summary.best.epoch if summary.best else None
    rows = [
        [
            f"{row.epoch + 1}{'*' if row.epoch == best else ''}",
            *(formatting.metric(row.metrics[name]) if name in row.metrics else "-" for name in names),
            formatting.seconds(row.epoch_s),
            f"{row.rows_per_s:.0f}",
            str(row.attempt),
        ]
        for row in summary.epoch_rows()
    ]
    return columns(["epoch", *names, "time", "rows/s", "attempt"], rows)
