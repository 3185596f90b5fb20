"""`raytrain up`: starts the local Ray cluster, or finds the one already up."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.clusters import up


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
    out = Output(json=wants_json(json, output), quiet=quiet)
    cluster = up(cpus=cpus, gpus=gpus, progress=out.say)
    if out.json:
        out.result_json(cluster.to_dict())
        return
    out.result(cluster.address)
    if cluster.token_in:
        out.say(f"its dashboard asks for the token in {cluster.token_in}")
    else:
        out.warn("it asks for no token: whoever may use this machine may run code on it; raytrain down, then up again")
    if cluster.started:
        out.say("next:  raytrain submit JOB    raytrain down")
        return
    out.say(f"it was up already, with {cluster.cpus} CPUs; raytrain down stops it")
    if cpus not in (None, cluster.cpus) or gpus not in (None, cluster.gpus):
        out.warn("--cpus and --gpus were left unheard; raytrain down first, then up again")
