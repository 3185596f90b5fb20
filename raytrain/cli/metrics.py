"""`raytrain metrics`: a run's metrics, one row an epoch."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.display.epoch_table import epoch_csv, epoch_table
from raytrain.cli.options import TableFormat, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import get
from raytrain.client.display.terminal import can_draw_blocks
from raytrain.client.metrics import RunMetrics


def command(
    run: options.Run,
    plot: Annotated[bool, typer.Option("--plot", help="Draw them as curves.")] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: Annotated[TableFormat, typer.Option("--output", "-o", help="How they are printed.")] = TableFormat.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Print or plot a run's metrics, one row an epoch.

    Epochs are counted from 1 here, the best one is marked with *; in JSON and CSV they are counted from 0.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    summary = get(run, address=address, storage=storage).summary()
    metrics = RunMetrics.of(summary)
    if out.json:
        out.result_json(metrics.to_dict())
    elif output is TableFormat.CSV:
        out.result(*epoch_csv(metrics))
    elif not summary.epochs:
        out.say(f"{summary.run} ({summary.status}) has no epochs yet")
    elif plot:
        from raytrain.client.display.plot import plot_lines

        width = shutil.get_terminal_size().columns
        out.result(*plot_lines(metrics.epochs, width=width, blocks=can_draw_blocks(sys.stdout)))
    else:
        out.result(*epoch_table(summary))
