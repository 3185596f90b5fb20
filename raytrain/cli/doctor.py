"""`raytrain doctor`: looks a cluster over before a run does."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import wants_json
from raytrain.cli.output import Output
from raytrain.client.doctor import TIMEOUT_S, doctor
from raytrain.doctor_protocol import Finding
from raytrain.errors import ExitCode


def command(
    address: options.Address = None,
    storage: Annotated[
        str | None, typer.Option(metavar="DIR", help="A directory or URI that every node is to write and see.")
    ] = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    output: options.OutputFormat = options.Format.TEXT,
    quiet: options.Quiet = False,
) -> ExitCode:
    """Look a cluster over: versions, GPUs, storage, ports, sums.

    A process on each node looks, and a worker on each adds up a small vector with the others'. Each line is ok, warn,
    fail or skip, with what to do; the exit code is 4 where one fails. No cluster is started.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)

    def tell(finding: Finding) -> None:
        if not out.json:
            out.result(f"{finding.state:<5} {finding.check:<12} {finding.says}")
            out.result(*([f"{'':<18} {finding.fix}"] if finding.fix else []))

    diagnosis = doctor(address=address, storage=storage, timeout_s=timeout or TIMEOUT_S, tell=tell, progress=out.say)
    if out.json:
        out.result_json(diagnosis.to_dict())
    return ExitCode.CLUSTER_UNREACHABLE if diagnosis.fails else ExitCode.OK
