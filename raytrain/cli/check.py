"""`raytrain check`: holds several workers against plain Keras on a job's first rows, without a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.check import check
from raytrain.errors import ExitCode


def command(
    job: options.Job,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="How many workers are held against one.")] = 2,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="How many steps are run, at most.")] = 8,
    set_: options.Set = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> ExitCode:
    """Train a few steps in one process and on workers, and compare.

    The job's own code runs on this machine, in processes of its own: no cluster is needed, and nothing is left. What
    only Keras knows is refused here, too: a loss that is misspelt, shapes that do not fit, a saved model that cannot
    be loaded. Exit code 10 when the workers come to something else than one process, or the job's code fails.
    """
    from raytrain.cli.display.check_table import print_report

    out = Output(json=wants_json(json, output), quiet=quiet)
    report = check(job, workers=workers, steps=steps, overrides=set_, progress=out.say)
    print_report(report, out)
    return ExitCode.OK if report.is_equal else ExitCode.RUN_FAILED
