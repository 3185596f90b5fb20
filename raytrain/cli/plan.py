"""`raytrain plan`: what `submit` would do, before anything is started, sent or spent."""

from __future__ import annotations

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.api import plan


def command(
    job: options.Job,
    set_: options.Set = None,
    name: options.Name = None,
    workers: options.WorkerCounts = None,
    storage: options.Storage = None,
    address: options.Address = None,
    data: options.Data = False,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Show what submit would do: shards, resources, cluster, upload.

    Nothing is started, sent or written. A job that the cluster could never run is refused here, too. With several
    --workers, the first ones are planned for, and an epoch's time is foreseen for all. With --data, the first
    100,000 rows are read here: what each column holds, what it becomes, and what is suspicious about it.
    """
    from raytrain.cli.display.plan_lines import print_plan

    out = Output(json=wants_json(json, output), quiet=quiet)
    print_plan(
        plan(job, workers=workers, name=name, storage=storage, address=address, overrides=set_, look=data),
        out,
    )
