"""`raytrain monitor`: what Prometheus and Grafana need to show runs, and a Prometheus that reads it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.output import Output
from raytrain.client.clusters import monitor


def command(
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; else in raytrain's state directory.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Start this machine's Prometheus, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(metavar="PORT", min=1, max=65535, help="Where it answers, with --serve.")] = 9090,
    address: options.Address = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write what Prometheus and Grafana need to show runs.

    prometheus.yml scrapes the cluster's nodes, raytrain-rules.yml records and alerts, raytrain-board.json is imported
    into Grafana. With --serve the Prometheus that is installed here reads them, on this machine alone.
    """
    out = Output(json=json, quiet=quiet)
    written = monitor(output, address=address)
    if out.json:
        out.result_json(written.to_dict())
    else:
        out.result(*(str(file) for file in (written.config, written.rules, written.board)))
    if serve:
        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # Prometheus ends with this command, however that ends
        written.serve(port=port, ready=lambda url: out.say(f"Prometheus answers at {url}; Ctrl-C ends it"))
    elif not out.json:
        out.say(f"next:  prometheus --config.file={written.config}    or raytrain monitor --serve")
