"""`raytrain context`: names clusters and storages, and chooses where jobs go."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from raytrain.cli import options
from raytrain.cli.options import wants_json
from raytrain.cli.output import Output
from raytrain.cluster import contexts
from raytrain.cluster.contexts import Context
from raytrain.errors import Problem, UsageError


class Action(StrEnum):
    """What is to be done with a context."""

    LIST = "list"
    ADD = "add"
    USE = "use"
    REMOVE = "remove"


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
    if action not in [*Action]:
        raise UsageError(Problem(got=f"raytrain context {action}", expected=f"one of {', '.join(Action)}"))
    if action != Action.LIST and name is None:
        raise UsageError(Problem(got=f"{action} without a name", expected=f"raytrain context {action} NAME"))
    if (address or storage) and action != Action.ADD:
        raise UsageError(Problem(got=f"--address or --storage with {action}", expected="them with add alone"))
    told = _done(Action(action), name or "", address, storage)
    if out.json:
        out.result_json({"schema_version": 1, "contexts": [context.to_dict() for context in told]})
    else:
        out.result(*map(_line, told))


def _done(action: Action, name: str, address: str | None, storage: str | None) -> list[Context]:
    if action is Action.ADD:
        if not address:
            expected = "raytrain context add NAME --address http://HOST:8265"
            raise UsageError(Problem(got="a context without --address", expected=expected))
        return [contexts.add(name, address=address, storage=storage, environ=os.environ)]
    if action is Action.USE:
        used = contexts.use(None if name == "-" else name, os.environ)
        return [used] if used else []
    if action is Action.REMOVE:
        contexts.remove(name, os.environ)
        return []
    return contexts.contexts(os.environ)


def _line(context: Context) -> str:
    storage = f"  {context.storage}" if context.storage else ""
    return f"{'*' if context.used else ' '} {context.name}  {context.address}{storage}"
