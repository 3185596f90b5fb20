"""Several runs in one table on a terminal, a row a run; elsewhere a line for what happens, after the run's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.live import Live
from rich.table import Table
from rich.text import Text

from raytrain import formatting
from raytrain.clean_text import clean
from raytrain.client.display.pace import left_s
from raytrain.client.display.sparkline import sparkline
from raytrain.client.display.terminal import can_draw_blocks, is_terminal, terminal_console
from raytrain.client.watch import Idle, StatusChange
from raytrain.run import events
from raytrain.run.event_lines import event_line
from raytrain.run.status_words import waiting_for
from raytrain.run.summary import RunSummary

_CURVE, _NARROW_CURVE, _NARROW = 20, 8, 100
_STYLES = {"SUCCEEDED": "green", "FAILED": "red", "STOPPED": "yellow"}


class SideBySide:
    """Shows how each of several runs stands.

    Args:
        runs: their ids.
        stream: where to.
        write: prints a line, where `stream` is no terminal.
    """

    def __init__(self, runs: Sequence[str], stream: TextIO, *, write: Callable[[str], None]) -> None:
        self._summaries = {run: RunSummary(run=run) for run in runs}
        self._epoch_ended = dict.fromkeys(runs, time.monotonic())
        self._write = write
        self._blocks = can_draw_blocks(stream)
        self._live: Live | None = None
        if is_terminal(stream):
            console = terminal_console(stream)
            self._console = console
            self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=4)
            self._live.start()

    def show(self, run: str, item: events.Event | StatusChange | Idle, summary: RunSummary) -> None:
        """Takes what one of the runs' streams gave, and how that run stands with it."""
        self._summaries[run] = summary
        is_epoch = isinstance(item, events.EpochEnd)
        if is_epoch:
            self._epoch_ended[run] = time.monotonic()
        line = ""
        if isinstance(item, StatusChange):
            line = str(item.status) if item.final else item.message if item.silent else ""
        elif isinstance(item, events.Event) and not (is_epoch and self._live):
            line = event_line(item, summary)
        if line and self._live:
            self._console.print(Text(clean(f"{run}: {line}")))
        elif line:
            self._write(f"{run}: {line}")

    def close(self) -> None:
        if self._live:
            self._live.stop()

    def _picture(self) -> Table:
        now = time.monotonic()
        since = {run: now - ended for run, ended in self._epoch_ended.items()}
        return side_by_side(list(self._summaries.values()), since, width=self._console.width, blocks=self._blocks)


def side_by_side(
    summaries: Sequence[RunSummary], since_epoch_s: dict[str, float], *, width: int, blocks: bool = True
) -> Table:
    """The table as it stands."""
    narrow = width < _NARROW
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold")
    for name in (
        ("status", "epoch", "loss", "") if narrow else ("status", "epoch", "loss", "", "best", "rows/s", "left")
    ):
        table.add_column(name, justify="right" if name in ("epoch", "loss", "rows/s", "left") else "left", no_wrap=True)
    for summary in summaries:
        cells = _cells(summary, since_epoch_s.get(summary.run, 0.0), _NARROW_CURVE if narrow else _CURVE, blocks)
        status = Text(str(summary.status), style=_STYLES.get(summary.status, "cyan"))
        table.add_row(Text(clean(summary.run)), status, *map(Text, cells[: 3 if narrow else 6]))
    return table


def _cells(summary: RunSummary, since_epoch_s: float, curve: int, blocks: bool) -> list[str]:
    if not summary.epochs:
        goes_on = not summary.status.is_terminal
        return ["-", "-", clean(waiting_for(summary))[: 2 * curve] if goes_on else "", "-", "-", "-"]
    row, best = summary.newest_row(), summary.best
    planned = f"/{summary.epochs_planned}" if summary.epochs_planned else ""
    losses = [each.metrics.get("loss") for each in summary.epoch_rows()]
    left = "-" if summary.status.is_terminal else formatting.seconds(left_s(summary, since_epoch_s))
    return [
        f"{row.epoch + 1}{planned}",
        formatting.metric(row.metrics.get("loss")),
        sparkline(losses, width=curve, plain=not blocks),
        f"{clean(best.monitor)} {formatting.metric(best.value)} ({best.epoch + 1})" if best else "-",
        formatting.count(row.rows_per_s),
        left,
    ]
