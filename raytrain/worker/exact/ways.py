"""Which rows each loss, metric and layer is computed from, and why: its own worker's, or all workers'.

Runs in: every Train worker.

All workers' rows are right whatever is computed. Own rows are, where it is known that no number depends on more than
one row or that the workers' numbers add up. One who knows better says so here, before the step is traced anew.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Way(enum.Enum):
    OWN_ROWS = enum.auto()
    ALL_ROWS = enum.auto()


class Reason(enum.Enum):
    """Why it is that way.

    `STRUCTURE`: its graph shows that own rows will do, or that they will not. `CAUTION`: its graph does not show that
    own rows will do, and all rows cannot be wrong. `UNDECIDED`: its graph does not show that own rows are not enough.
    """

    OF_KERAS = enum.auto()
    STRUCTURE = enum.auto()
    CAUTION = enum.auto()
    UNDECIDED = enum.auto()
    OVERRULED = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How one loss, metric, layer or regularizer is computed.

    Attributes:
        owner: the object itself.
        entries_a_row: of the first axis of each result; 0 where they are not the rows', None where it is unknown.
        row_bytes: what a row costs to gather; None where a length is not known beforehand.
    """

    owner: Any
    way: Way
    reason: Reason
    entries_a_row: tuple[int | None, ...] = ()
    row_bytes: int | None = None


_choices: dict[Any, Choice] = {}
_overruled: dict[int, tuple[Any, Way]] = {}


def choose(owner: Any, given: Any, decide: Callable[[], Choice]) -> Choice:
    """The way of `owner` for what it is given, which is decided once.

    Args:
        given: what beside the owner the choice depends on, as a key.
    """
    key = (id(owner), given)
    if key not in _choices:
        _choices[key] = decide()
    choice = _choices[key]
    if id(owner) not in _overruled:
        return choice
    return Choice(
        owner=owner,
        way=_overruled[id(owner)][1],
        reason=Reason.OVERRULED,
        entries_a_row=choice.entries_a_row,
        row_bytes=choice.row_bytes,
    )


def choices() -> list[Choice]:
    """All that have been made, in their order."""
    return list(_choices.values())


def overrule(owner: Any, way: Way) -> None:
    """From the next tracing on the owner is computed this way, whatever its graph shows."""
    _overruled[id(owner)] = owner, way


def withdraw(owner: Any) -> None:
    """Undoes `overrule`."""
    _overruled.pop(id(owner), None)


def is_overruled(owner: Any) -> bool:
    return id(owner) in _overruled
