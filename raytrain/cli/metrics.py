"""`raytrain metrics`: a run's metrics, one row an epoch."""

from __future__ import annotations

from raytrain.cli import options
from raytrain.cli.display.epoch_table import epoch_table
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import get
from raytrain.client.metrics import RunMetrics


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
    summary = get(run, address=address, storage=storage).summary()
    if out.json:
        out.result_json(RunMetrics.of(summary).to_dict())
    elif summary.epochs:
        out.result(*epoch_table(summary))
    else:
        out.say(f"{summary.run} ({summary.status}) has no epochs yet")
