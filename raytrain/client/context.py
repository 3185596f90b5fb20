"""Contexts, as `raytrain context` asks for them: listed, added, used, removed."""

from __future__ import annotations

import os
from enum import StrEnum

from raytrain.cluster import contexts
from raytrain.cluster.contexts import VARIABLE as VARIABLE
from raytrain.cluster.contexts import Context as Context
from raytrain.errors import Problem, UsageError

NONE = "-"


class Action(StrEnum):
    """What is to be done."""

    LIST = "list"
    ADD = "add"
    USE = "use"
    REMOVE = "remove"


def context(
    action: str = Action.LIST, name: str | None = None, *, address: str | None = None, storage: str | None = None
) -> list[Context]:
    """The contexts that the action is about: all of them, the one added, the one used, none.

    Args:
        action: "list", "add", "use" or "remove".
        name: of the context; "-" uses none.
        address, storage: of one that is added.

    Returns:
        Each with its `name`, `address`, `storage`, and whether it is `used`.

    Raises:
        UsageError: the action makes no sense, or the name or the address is none.
        NotFound: no context is named so.

    Example:
        >>> raytrain.context("add", "lab", address="http://10.0.0.7:8265")[0].used
        False
        >>> raytrain.context("remove", "lab")
        []
    """
    if action not in [*Action]:
        raise UsageError(Problem(got=f"raytrain context {action}", expected=f"one of {', '.join(Action)}"))
    if (address or storage) and action != Action.ADD:
        raise UsageError(Problem(got=f"--address or --storage with {action}", expected="them with add alone"))
    if action == Action.LIST:
        return contexts.contexts(os.environ)
    if name is None:
        raise UsageError(Problem(got=f"{action} without a name", expected=f"raytrain context {action} NAME"))
    if action == Action.REMOVE:
        contexts.remove(name, os.environ)
        return []
    if action == Action.USE:
        used = contexts.use(None if name == NONE else name, os.environ)
        return [used] if used else []
    if not address:
        expected = "raytrain context add NAME --address http://HOST:8265"
        raise UsageError(Problem(got="a context without --address", expected=expected))
    return [contexts.add(name, address=address, storage=storage, environ=os.environ)]
