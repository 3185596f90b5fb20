"""`raytrain up`: starts the local Ray cluster, or finds the one already up."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output


def command(
    cpus: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="CPUs that it offers; else as many as there are, 4 at least.")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="GPUs that it offers; else those that Ray finds.")
    ] = None,
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Start a local Ray cluster, or find the one already up.

    It stays up until raytrain down. Submit starts it by itself when there is no cluster.
    """
    from raytrain.cluster.local import local_cluster

    out = Output(json=wants_json(json, output), quiet=quiet)
    before = local_cluster.running()
    cluster = local_cluster.start(cpus=cpus, gpus=gpus, progress=out.say)
    if out.json:
        out.result_json(
            {
                "schema_version": 1,
                "address": cluster.url,
                "started": before is None,
                "cpus": cluster.cpus,
                "gpus": cluster.gpus,
            }
        )
        return
    out.result(cluster.url)
    if before is not None:
        out.say(f"it was up already, with {cluster.cpus} CPUs; raytrain down stops it")
        if cpus not in (None, cluster.cpus) or gpus not in (None, cluster.gpus):
            out.warn("--cpus and --gpus were left unheard; raytrain down first, then up again")
    else:
        out.say("next:  raytrain submit JOB    raytrain down")
