"""Stands for the recorder: keeps the events that it is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TypeVar

from raytrain.run import events

T = TypeVar("T", bound=events.Event)


class Recorded:
    summary = SimpleNamespace(epoch_rows=list)

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def record(self, event: events.Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing waits."""

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]
