"""What shows a run's progress: a live table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from typing import Protocol, TextIO

from raytrain.cli.display.plain import PlainDisplay
from raytrain.cli.output import Output, is_terminal
from raytrain.client.watch import Idle, StatusChange
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary


class Display(Protocol):
    """Shows a run's progress, and lines beside it; `show` is given an item and how the run stands with it."""

    def show(self, item: Event | StatusChange | Idle, summary: RunSummary) -> None: ...
    def note(self, line: str) -> None: ...
    def close(self) -> None: ...


def open_display(stream: TextIO, out: Output) -> Display:
    """The display that fits `stream`, which is stdout or stderr."""
    if is_terminal(stream):
        from raytrain.cli.display.live import LiveDisplay

        return LiveDisplay(stream)
    return PlainDisplay(out.result if stream is sys.stdout else out.say, out.say)
