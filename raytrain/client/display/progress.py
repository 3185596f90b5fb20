"""What shows a run's progress: a live table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TextIO

from raytrain.client.display.plain import PlainDisplay
from raytrain.client.display.terminal import is_terminal
from raytrain.client.watch import Idle, StatusChange
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary


class Display(Protocol):
    """Shows a run's progress, and lines beside it; `show` is given an item and how the run stands with it."""

    def show(self, item: Event | StatusChange | Idle, summary: RunSummary) -> None: ...
    def note(self, line: str) -> None: ...
    def close(self) -> None: ...


def open_display(stream: TextIO, *, write: Callable[[str], None], note: Callable[[str], None]) -> Display:
    """The display that fits `stream`; off a terminal `write` and `note` print lines, as `PlainDisplay` says."""
    if is_terminal(stream):
        from raytrain.client.display.live import LiveDisplay

        return LiveDisplay(stream)
    return PlainDisplay(write, note)
