"""Shows a run's progress on a terminal as one live table: last epochs, progress bar, time left, best so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segments
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from raytrain import formatting
from raytrain.clean_text import clean
from raytrain.client.display.pace import first_epoch, left_s, pace, within_epoch
from raytrain.client.display.sparkline import sparkline
from raytrain.client.display.terminal import can_draw_blocks, terminal_console
from raytrain.client.watch import Idle, StatusChange
from raytrain.run import events
from raytrain.run.event_lines import event_line
from raytrain.run.status_words import waiting_for
from raytrain.run.summary import RunSummary

_EPOCHS_SHOWN = 10
_BAR_WIDTH = 24
_METRIC_WIDTH, _BESIDE_METRICS = 9, 28
_MOST_CURVES, _LEAST_CURVE, _WIDEST_CURVE = 6, 8, 60
_REFRESH_PER_S = 4


class LiveDisplay:
    """Redraws the table a few times a second until closed, then leaves it standing."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = terminal_console(stream)
        self._blocks = can_draw_blocks(stream)
        self._clock = clock
        self._began_at = self._last_epoch_at = clock()
        self._job_message = ""
        self._summary: RunSummary | None = None
        self._top: tuple[int, Segments] | None = None  # as drawn for a width; until something happens
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=_REFRESH_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, item: events.Event | StatusChange | Idle, summary: RunSummary) -> None:
        self._summary = summary
        if isinstance(item, Idle):
            return
        self._top = None
        if isinstance(item, StatusChange):
            self._job_message = item.message
            if item.silent:
                self.note(item.message)
        elif isinstance(item, events.EpochEnd):
            self._last_epoch_at = self._clock()
        elif isinstance(item, events.Event) and (line := event_line(item, summary)):
            self.note(line)

    def note(self, line: str) -> None:
        """Prints a line above the table."""
        self._console.print(Text(clean(line)))

    def close(self) -> None:
        self._live.stop()

    def _picture(self) -> RenderableType:
        if self._summary is None:
            return Text("")
        width, now = self._console.width, self._clock()
        if self._top is None or self._top[0] != width:
            top = Group(*standing(self._summary, width=width, blocks=self._blocks))
            self._top = width, Segments(list(self._console.render(top)))
        going = progress(self._summary, now - self._began_at, now - self._last_epoch_at, self._job_message)
        return Group(self._top[1], *going)


def picture(
    summary: RunSummary,
    *,
    waited_s: float,
    since_epoch_s: float,
    job_message: str = "",
    width: int = 120,
    blocks: bool = True,
) -> RenderableType:
    """The whole of it: how the run stands, and what goes on now."""
    going = progress(summary, waited_s, since_epoch_s, job_message)
    return Group(*standing(summary, width=width, blocks=blocks), *going)


def standing(summary: RunSummary, *, width: int, blocks: bool) -> list[RenderableType]:
    """What changes with events alone: a head line, the last epochs, their curves, and likely causes.

    Args:
        summary: the run.
        width: letters that a line may have.
        blocks: whether curves may be drawn of block characters.
    """
    parts: list[RenderableType] = [_head(summary)]
    if summary.epochs:
        parts.append(_epochs(summary, width))
    if len(summary.epochs) > 1:
        parts.append(_curves(summary, width, blocks))
    parts += [Text(f"likely: {clean(cause.text)}", style="yellow") for cause in summary.explanations()]
    return parts


def progress(summary: RunSummary, waited_s: float, since_epoch_s: float, job_message: str = "") -> list[RenderableType]:
    """What changes with time: how far the run is, and how long it takes yet; nothing of one that has ended."""
    if summary.status.is_terminal:
        return []
    return [_progress(summary, since_epoch_s) if summary.epochs else _waiting(summary, waited_s, job_message)]


def _head(summary: RunSummary) -> Text:
    style = {"SUCCEEDED": "green", "FAILED": "red", "STOPPED": "yellow"}.get(summary.status, "cyan")
    head = Text.assemble((clean(summary.run), "bold"), "  ", (str(summary.status), style))
    if summary.workers:
        head.append(f"  {formatting.plural(summary.workers, 'worker')}, global batch {summary.global_batch_size}")
    if summary.rows:
        head.append(f", {formatting.count(summary.rows.get('train'))} rows")
    return head


def _waiting(summary: RunSummary, waited_s: float, job_message: str) -> RenderableType:
    steps = first_epoch(summary)
    words = f"{waiting_for(summary, job_message)}  {waited_s:.0f}s" + (f", {steps}" if steps else "")
    return Spinner("line", Text(clean(words)))


def _epochs(summary: RunSummary, width: int) -> Table:
    """The last epochs, with as many metrics as there is room for; the curves below have the others, too."""
    rows = summary.epoch_rows()
    names = _fitting(summary.metric_names(), width - _BESIDE_METRICS)
    best = summary.best.epoch if summary.best else None
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", *names, "time", "rows/s"):
        table.add_column(Text(clean(name)), justify="right", no_wrap=True)
    for row in rows[-_EPOCHS_SHOWN:]:
        number = f"{row.epoch + 1}/{summary.epochs_planned}" if summary.epochs_planned else str(row.epoch + 1)
        cells = [formatting.metric(row.metrics.get(name)) for name in names]
        pace_cells = [formatting.seconds(row.epoch_s), formatting.count(row.rows_per_s)]
        table.add_row(number, *cells, *pace_cells, style="green" if row.epoch == best else None)
    return table


def _fitting(names: list[str], room: int) -> list[str]:
    """As many of the names as fit beside each other, one at least."""
    used = 0
    kept: list[str] = []
    for name in names:
        used += max(len(clean(name)), _METRIC_WIDTH) + 1
        if kept and used > room:
            break
        kept.append(name)
    return kept


def _curves(summary: RunSummary, width: int, blocks: bool) -> Table:
    """A curve a metric, from its first value to its last."""
    rows = summary.epoch_rows()
    table = Table.grid(padding=(0, 1))
    for name in summary.metric_names()[:_MOST_CURVES]:
        values = [row.metrics.get(name) for row in rows]
        room = max(_LEAST_CURVE, min(_WIDEST_CURVE, width - max(len(clean(name)), 12) - 2 * _METRIC_WIDTH - 6))
        ends = f"{formatting.metric(values[0])} to {formatting.metric(values[-1])}"
        curve = sparkline(values, width=room, plain=not blocks)
        table.add_row(Text(clean(name), style="bold"), Text(curve, style="cyan", no_wrap=True), Text(ends))
    return table


def _progress(summary: RunSummary, since_epoch_s: float) -> RenderableType:
    planned = max(summary.epochs_planned or 0, len(summary.epochs))
    done = max(summary.epochs) + 1
    part = within_epoch(summary, since_epoch_s)
    line = Table.grid(padding=(0, 2))
    left = formatting.seconds(left_s(summary, since_epoch_s))
    cells: list[RenderableType] = [
        ProgressBar(total=planned, completed=done + part, width=_BAR_WIDTH),
        Text(f"{done}/{planned}"),
        Text(f"{left} left" if done < planned else "evaluating and saving"),
    ]
    if done < planned:
        cells.append(Text(f"{part:.0%} of epoch {done + 1}"))
    line.add_row(*cells)
    return Group(Text(_best(summary), style="green"), Text(pace(summary)), line)


def _best(summary: RunSummary) -> str:
    """`best val_loss 0.2250 (epoch 4)  patience 3`."""
    parts = []
    if summary.best:
        best = summary.best
        parts.append(f"best {clean(best.monitor)} {formatting.metric(best.value)} (epoch {best.epoch + 1})")
    if summary.patience_left is not None:
        parts.append(f"patience {summary.patience_left}")
    return "  ".join(parts)
