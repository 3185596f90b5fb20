"""`--context`, which every verb has that has `--address`."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from raytrain.client.context import VARIABLE

Context = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"A named cluster and storage, see raytrain context; else {VARIABLE}."),
]


def in_context(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb with the option, which stands for the variable, and so reaches all that the verb calls."""
    signature = inspect.signature(verb, eval_str=True)
    if "address" not in signature.parameters:
        return verb

    @functools.wraps(verb)
    def called(*args: Any, context: str | None = None, **options: Any) -> Any:
        before = os.environ.get(VARIABLE)
        if context:
            os.environ[VARIABLE] = context
        try:
            return verb(*args, **options)
        finally:
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before

    option = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Context)
    called.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    called.__annotations__ = verb.__annotations__ | {"context": Context}
    return called
