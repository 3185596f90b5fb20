"""`raytrain init`: writes a new job folder that runs as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import Format, wants_json
from raytrain.cli.output import Output
from raytrain.client.init import init


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The job's name, and its folder's.")],
    parent: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the folder is made.")] = Path(),
    json: options.Json = False,
    output: options.OutputFormat = Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Write a new job folder that runs as it is.

    A commented job.yaml and a model.py; nothing that exists is overwritten.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    job = init(name, parent)
    if out.json:
        out.result_json(job.to_dict())
        return
    out.result(*map(str, job.files))
    out.say("next:", f"  raytrain validate {parent / name}", f"  raytrain submit {parent / name}")
