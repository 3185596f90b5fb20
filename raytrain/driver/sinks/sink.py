"""A sink, and the thread in which one is told of events.

Runs in: the driver. Whatever a sink does, and however long it takes, it neither holds up the run nor fails it: each has
a thread of its own, and what it raises is said in the job's log. The event log is a sink like any other.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import Protocol

from raytrain.run.events import Event
from raytrain.run.job_log import say
from raytrain.run.summary import RunSummary

_MOST_WAITING = 10_000


class Sink(Protocol):
    """Where the recorder tells an event."""

    def take(self, event: Event, summary: RunSummary) -> None:
        """Takes in one event, in the order of the log; `summary` is what all up to it add up to, and the sink's own."""

    def close(self) -> None:
        """No event follows."""


class SinkThread:
    """Tells a sink of events, one after the other.

    Args:
        name: what people call where it tells.
        newest_only: of the events that wait, only the newest matters.
        keeps_all: no event may be left out, however many wait for a sink that is slow.
    """

    def __init__(self, sink: Sink, name: str, *, newest_only: bool = False, keeps_all: bool = False) -> None:
        self._sink, self._name = sink, name
        most = 1 if newest_only else None if keeps_all else _MOST_WAITING
        self._waiting: deque[tuple[Event, RunSummary]] = deque(maxlen=most)
        self._changed = threading.Condition()
        self._closing = False
        self._said = ""
        self._thread = threading.Thread(target=self._run, name=f"raytrain-{name}", daemon=True)
        self._thread.start()

    def put(self, event: Event, summary: RunSummary) -> None:
        """Hands over an event without waiting for the sink."""
        with self._changed:
            self._waiting.append((event, summary))
            self._changed.notify()

    def begin_to_close(self) -> None:
        """No event follows."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def finish(self, deadline: float) -> None:
        """Waits until the sink has taken in all there is, or until that moment of the monotonic clock."""
        self._thread.join(max(0.0, deadline - monotonic()))
        if self._thread.is_alive():
            say(f"warning: {self._name} lacks the run's last events: it did not take them in time")

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._take(item)
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001  as above
            self._say(error)

    def _take(self, item: tuple[Event, RunSummary]) -> None:
        try:
            self._sink.take(*item)
            self._said = ""
        except Exception as error:  # noqa: BLE001  of whatever a sink is made; the next event is tried all the same
            self._say(error)

    def _next(self) -> tuple[Event, RunSummary] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None

    def _say(self, error: Exception) -> None:
        """Once, as long as it fails alike."""
        text = f"warning: {self._name} could not take in an event: {error}"
        if text != self._said:
            say(text)
            self._said = text
