"""An event as one line of JSON, and back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from raytrain.errors import Failure
from raytrain.run.events import SCHEMA_VERSION, Best, Event, RankPlace, SplitShards

T = TypeVar("T")

_TYPES: dict[str, type[Event]] = {kind.type: kind for kind in Event.__subclasses__()}


def to_json(event: Event) -> dict[str, Any]:
    """The event as the object of a line."""
    return {"schema_version": SCHEMA_VERSION, "type": event.type, **dataclasses.asdict(event)}


def to_line(event: Event) -> str:
    """The event as one line of JSON, without the newline; numbers that JSON lacks (NaN, infinities) become null."""
    return json_line(to_json(event))


def json_line(body: Mapping[str, Any]) -> str:
    """One line of JSON, without the newline; numbers that JSON lacks become null."""
    return json.dumps(finite(body), allow_nan=False, separators=(",", ":"))


def from_line(line: str) -> Event | None:
    """The event on a line, or None where the line is of an unknown type, cut short, or of no attempt or time."""
    try:
        body = json.loads(line)
    except ValueError:
        return None
    kind = _TYPES.get(str(body.get("type"))) if isinstance(body, dict) else None
    if kind is None or not isinstance(body.get("attempt"), int) or not isinstance(body.get("time"), (int, float)):
        return None
    try:
        return known_fields(kind, body | {name: read(body[name]) for name, read in _NESTED.items() if body.get(name)})
    except (AttributeError, TypeError, ValueError):
        return None


def known_fields(kind: type[T], body: Mapping[str, Any]) -> T:
    """The dataclass of a map, without what this version of it does not know.

    Raises:
        TypeError: a field without which there is none is missing.
    """
    names = (item.name for item in dataclasses.fields(kind))  # type: ignore[arg-type]
    return kind(**{name: body[name] for name in names if name in body})


# What is more than a number, a text or a list of them, by the name of the field, which is the same in all types.
_NESTED: Mapping[str, Callable[[Any], Any]] = {
    "best": lambda best: known_fields(Best, best),
    "error": Failure.from_json,
    "ranks": lambda ranks: [known_fields(RankPlace, rank) if isinstance(rank, dict) else rank for rank in ranks],
    "splits": lambda splits: {name: known_fields(SplitShards, shards) for name, shards in splits.items()},
}


def finite(value: Any) -> Any:
    """The value with every NaN and infinity in it replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
