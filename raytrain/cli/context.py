"""`raytrain context`: names clusters and storages, and chooses where jobs go."""

from __future__ import annotations

from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import wants_json
from raytrain.cli.output import Output
from raytrain.client.context import Context, context


def command(
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="list, add, use or remove.")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of the context; use - uses none.")] = None,
    address: options.Address = None,
    storage: options.Storage = None,
    json: options.Json = False,
    output: options.OutputFormat = options.Format.TEXT,
    quiet: options.Quiet = False,
) -> None:
    """Name clusters and storages, and choose where jobs go.

    raytrain context add prod --address https://ray.example.com --storage s3://bucket/runs names them, raytrain context
    use prod lets jobs go there from then on, and --context prod or RAYTRAIN_CONTEXT=prod one command.
    """
    out = Output(json=wants_json(json, output), quiet=quiet)
    told = context(action, name, address=address, storage=storage)
    if out.json:
        out.result_json({"schema_version": 1, "contexts": [each.to_dict() for each in told]})
    else:
        out.result(*map(_line, told))


def _line(context: Context) -> str:
    storage = f"  {context.storage}" if context.storage else ""
    return f"{'*' if context.used else ' '} {context.name}  {context.address}{storage}"
