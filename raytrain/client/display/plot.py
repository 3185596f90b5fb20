"""A run's metrics as curves in a terminal, by plotext."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from raytrain.clean_text import clean
from raytrain.run.epoch_row import EpochRow

_TALL, _LEAST_WIDE = 14, 30
_MOST_POINTS = 2000
_TICKS = 5
# What draws the frame, in ASCII.
_FRAME = str.maketrans("│─┌┐└┘├┤┬┴┼", "|-+++++++++")


def plot_lines(rows: Sequence[EpochRow], *, width: int, blocks: bool = True) -> list[str]:
    """A panel a metric, on train rows and on validation rows.

    Args:
        rows: the epochs.
        width: letters that a line may have.
        blocks: whether there are more than ASCII letters to draw with.
    """
    names = list(dict.fromkeys(name.removeprefix("val_") for row in rows for name in row.metrics))
    return [line for name in names for line in _panel(rows, name, max(width, _LEAST_WIDE), blocks)]


def _panel(rows: Sequence[EpochRow], name: str, width: int, blocks: bool) -> list[str]:
    """Nothing where no epoch has a number of it."""
    import plotext

    plot: Any = plotext
    every = max(1, len(rows) // _MOST_POINTS)
    plot.clear_figure()
    plot.plotsize(width, _TALL)
    plot.theme("clear")
    drawn = 0
    for key, marker in ((name, "braille" if blocks else "*"), (f"val_{name}", "dot" if blocks else "o")):
        points = [(row.epoch + 1, row.metrics[key]) for row in rows[::every] if _drawable(row.metrics.get(key))]
        if points:
            plot.plot([epoch for epoch, _ in points], [value for _, value in points], label=clean(key), marker=marker)
            drawn += 1
    if not drawn:
        return []
    first, last = rows[0].epoch + 1, rows[-1].epoch + 1
    plot.xticks(sorted({first, last, *(first + (last - first) * at // _TICKS for at in range(_TICKS))}))
    plot.xlabel("epoch")
    text = clean(plot.uncolorize(plot.build()))
    return [line.rstrip() for line in (text if blocks else text.translate(_FRAME)).splitlines()]


def _drawable(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and abs(value) < 1e300
