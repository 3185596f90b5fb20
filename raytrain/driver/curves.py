"""Draws a run's learning curves: one panel a metric, training and validation against epoch.

Runs in: the driver.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from raytrain.run.summary import EpochRow

_FRACTIONS = ("accuracy", "acc", "auc", "precision", "recall", "f1")


def draw_curves(rows: Sequence[EpochRow], path: Path) -> None:
    """Writes a PNG of the finished epochs."""
    aside = path.with_name(f".{path.name}.tmp")
    figure_of(rows).savefig(aside, format="png", dpi=120)
    aside.replace(path)


def figure_of(rows: Sequence[EpochRow]) -> Any:
    """The matplotlib figure of `rows`, the loss last; a metric that is no number in some epoch has no point there."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = [name for name in rows[0].metrics if not name.startswith("val_")]
    names.sort(key=lambda name: (name == "loss", name))
    figure = Figure(figsize=(5.2 * len(names), 4.0), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        drawn = []
        for key in (name, f"val_{name}"):
            points = [(row.epoch + 1, value) for row in rows if _is_number(value := row.metrics.get(key))]
            if points:
                axes.plot(*zip(*points, strict=True), label=key, marker="." if len(points) < 40 else None)
            drawn += [value for _, value in points]
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if any(part in name for part in _FRACTIONS) and all(0 <= value <= 1 for value in drawn):
            axes.set_ylim(0, 1)
        if drawn:
            axes.legend()
        axes.grid(alpha=0.3)
    return figure


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
