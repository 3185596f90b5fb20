"""`raytrain predict`: lets a run's model answer rows, into files."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import wants_json
from raytrain.cli.output import Output


def command(
    run: options.Run,
    input: Annotated[str, typer.Option(metavar="SOURCE", help="A path, or a map such as {csv: rows.csv}.")],
    output: Annotated[str, typer.Option(metavar="PATH", help="A .parquet, .csv or .jsonl file, or a folder.")],
    format: options.OutputKind = None,
    columns: options.Columns = None,
    workers: options.TaskWorkers = None,
    cpus_per_worker: options.Cpus = None,
    gpus_per_worker: options.Gpus = None,
    batch_size: options.BatchSize = None,
    keep_order: Annotated[bool, typer.Option("--keep-order", help="Say that order matters; it is always kept.")] = True,
    skip_errors: Annotated[bool, typer.Option("--skip-errors", help="Name rows that fail, and go on.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prediction.")] = False,
    address: options.Address = None,
    storage: options.Storage = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Let a run's model answer rows, into files.

    Rows are preprocessed as in training and answered once each, on as many workers as asked. The output gets its name
    when it is whole: a prediction that was cut off goes on where it stopped when the same command is given again.

    Exit code 2 for an output that is there, 3 for rows that lack columns, 5 for a run without a model, 10 for one that
    failed.
    """
    from raytrain.cli.display.task_lines import prediction_lines
    from raytrain.client.api import get

    out = Output(json=wants_json(json, options.Format.TEXT), quiet=quiet)
    done = get(run, address=address, storage=storage).predict(
        input=input,
        output=output,
        format=format,  # type: ignore[arg-type]
        columns=columns.split(",") if columns else None if columns is None else [],
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        batch_size=batch_size,
        skip_errors=skip_errors,
        overwrite=overwrite,
        address=address,
        timeout_s=timeout,
        progress=out.say,
    )
    out.result_json(done.to_dict()) if out.json else out.result(*prediction_lines(done))
