"""`raytrain evaluate`: holds a run's model against rows."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output


def command(
    run: options.Run,
    data: Annotated[str | None, typer.Option(metavar="SOURCE", help="A path, or a map as of data.train.")] = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="Of the run: test, validation or train.")] = "test",
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Metrics for each of its values, too.")] = None,
    workers: options.TaskWorkers = None,
    cpus_per_worker: options.Cpus = None,
    gpus_per_worker: options.Gpus = None,
    batch_size: options.BatchSize = None,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Hold a run's model against its test rows, or others.

    Every row counts once, however many workers share them, and the metrics are those of Keras' own evaluate. Beside
    them stand confusion matrix, ROC and calibration of classes, or residuals of numbers, as JSON and pictures in the
    run's directory.

    Exit code 2 for a run without such a split, 3 for rows that lack columns, 5 for a run without a model, 10 for one
    that failed.
    """
    from raytrain.cli.display.task_lines import evaluation_lines
    from raytrain.client.api import get

    out = Output(json=wants_json(json, output), quiet=quiet)
    done = get(run, address=address, storage=storage).evaluate(
        data=data,
        split=split,  # type: ignore[arg-type]
        by=by,
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        batch_size=batch_size,
        address=address,
        timeout_s=timeout,
        progress=out.say,
    )
    out.result_json(done.to_dict()) if out.json else out.result(*evaluation_lines(done))
