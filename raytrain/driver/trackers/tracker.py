"""What a tracker is, and what one is told of a run beside its events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from raytrain.run.event_log import EventReader
from raytrain.run.events import EpochEnd, Event
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec

Scalar = float | int | str | bool
_MOST_LETTERS = 500


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as its tracker needs it.

    Attributes:
        state: what the tracker has noted for itself, kept in the run's directory from one process to the next.
    """

    run: str
    spec: JobSpec
    paths: RunPaths
    state: dict[str, Any] = field(default_factory=dict)


class Tracker(Protocol):
    """Told of a run by one thread; whatever it raises is said, and the same events are handed to it again later."""

    def take(self, events: Sequence[Event]) -> None:
        """Takes in the next events, in the order of the log; those that it took before it raised come again."""

    def close(self) -> None:
        """No event follows now; may be called without any before."""


def parameters(spec: JobSpec) -> dict[str, Scalar]:
    """The spec as names with dots and plain values, as trackers list them; rows that stand in it are left out."""
    return dict(_flat(spec.model_dump(mode="json", exclude_none=True)))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            if key != "inline":
                yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (str, int, float, bool)):
        yield name, value[:_MOST_LETTERS] if isinstance(value, str) else value
    elif value:
        yield name, json.dumps(value)[:_MOST_LETTERS]


def epoch_values(event: EpochEnd) -> dict[str, float]:
    """What an epoch is worth to a tracker: its metrics, NaN where one is no number, then rate and speed."""
    metrics = {name: float("nan") if value is None else value for name, value in event.metrics.items()}
    rate = {} if event.learning_rate is None else {"learning_rate": event.learning_rate}
    return metrics | rate | {"epoch_s": event.seconds, "rows_per_s": event.rows_per_s}


class NewEvents:
    """The events of a log that a tracker was not told yet; an epoch that was trained again to the same comes once.

    Args:
        told: how many at the beginning of the log it was told.
    """

    def __init__(self, reader: EventReader, told: int) -> None:
        self._reader, self._behind = reader, told
        self._metrics: dict[int, Any] = {}

    def __iter__(self) -> Iterator[tuple[Event, bool]]:
        """Each with whether it is worth telling."""
        for event in self._reader.new():
            again = isinstance(event, EpochEnd) and self._metrics.get(event.epoch) == event.metrics
            if isinstance(event, EpochEnd):
                self._metrics[event.epoch] = event.metrics
            if self._behind:
                self._behind -= 1
                continue
            yield event, not again
