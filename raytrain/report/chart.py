"""A metric against the epoch as the numbers of an SVG; the template draws them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from raytrain import formatting
from raytrain.report.thinning import Point, is_finite, thin
from raytrain.run.epoch_row import EpochRow

WIDTH, HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 24, 12, 34
_MOST_POINTS = 300
_MOST_CHARTS, _MOST_CHARTS_BESIDE = 12, 6
_KINDS = 6  # of lines that the style tells apart
_DECADES = 3  # that values span on an axis that is logarithmic
_STEPS = (1, 2, 2.5, 5, 10)
LEARNING_RATE = "learning rate"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve: its name, its path, and where single points stand; `kind`: `train`, `val`, `rate`, `run-0`, …"""

    name: str
    kind: str
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One panel. Ticks are a place and a label; `best_x` is where the best epoch stands.

    Attributes:
        words: what a person would read off it, for those who do not see it.
    """

    title: str
    words: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    best_x: float | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def charts(rows: Sequence[EpochRow], best: int | None) -> list[Chart]:
    """A chart a metric, train beside validation, the loss first, then the learning rate."""
    names = list(dict.fromkeys(name.removeprefix("val_") for row in rows for name in row.metrics))
    drawn = []
    for name in names[:_MOST_CHARTS]:
        series: dict[str, list[Point]] = {
            key: [(row.epoch, row.metrics.get(key)) for row in rows] for key in (name, f"val_{name}")
        }
        drawn.append(_chart(name, series, best))
    rates: list[Point] = [(row.epoch, row.learning_rate) for row in rows]
    drawn.append(_chart(LEARNING_RATE, {LEARNING_RATE: rates}, None))
    return [chart for chart in drawn if chart is not None]


def charts_beside(runs: Mapping[str, Sequence[EpochRow]]) -> list[Chart]:
    """A chart a metric, a line a run, the validation metrics first: those that most runs have."""
    names = Counter(
        name for rows in runs.values() for name in dict.fromkeys(name for row in rows for name in row.metrics)
    )
    wanted = sorted(names, key=lambda name: (-names[name], not name.startswith("val_")))[:_MOST_CHARTS_BESIDE]
    drawn = []
    for name in wanted:
        series: dict[str, list[Point]] = {
            run: [(row.epoch, row.metrics.get(name)) for row in rows] for run, rows in runs.items()
        }
        if (chart := _chart(name, series, None)) is not None:
            kinds = {run: f"run-{number % _KINDS}" for number, run in enumerate(runs)}
            drawn.append(replace(chart, lines=tuple(replace(line, kind=kinds[line.name]) for line in chart.lines)))
    return drawn


def _chart(title: str, series: dict[str, list[Point]], best: int | None) -> Chart | None:
    """None where there is no number to draw."""
    kept = {name: points for name, points in series.items() if any(is_finite(value) for _, value in points)}
    values = [value for points in kept.values() for _, value in points if value is not None and math.isfinite(value)]
    if not values:
        return None
    epochs = [epoch for points in kept.values() for epoch, _ in points]
    x_axis, y_axis = _Axis.of_epochs(min(epochs), max(epochs)), _Axis.of_values(min(values), max(values))
    lines = [_line(name, points, x_axis, y_axis) for name, points in kept.items()]
    return Chart(
        title=title,
        words=". ".join(_words(name, points) for name, points in kept.items()) + ".",
        lines=tuple(lines),
        x_ticks=tuple((x_axis.place(tick), f"{tick + 1:.0f}") for tick in x_axis.ticks),
        y_ticks=tuple((y_axis.place(tick), _label(tick)) for tick in y_axis.ticks),
        best_x=None if best is None else x_axis.place(best),
    )


@dataclass(frozen=True)
class _Axis:
    """From values to places in the drawing: `low` stands at `begin`, `high` at `end`."""

    low: float
    high: float
    begin: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    @classmethod
    def of_epochs(cls, first: float, last: float) -> _Axis:
        counted = _round_ticks(first + 1, max(last, first + 1) + 1, 8, whole=True)
        ticks = tuple(tick - 1 for tick in counted if first <= tick - 1 <= last) or (first,)
        return cls(first, max(last, first + 1), _LEFT, WIDTH - _RIGHT, ticks)

    @classmethod
    def of_values(cls, low: float, high: float) -> _Axis:
        if low > 0 and high / low > 10**_DECADES:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            every = math.ceil((last - first) / 6)
            ticks = tuple(10.0**power for power in range(first, last + 1, every))
            return cls(10.0**first, 10.0**last, HEIGHT - _BOTTOM, _TOP, ticks, is_log=True)
        margin = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
        return cls(low, high, HEIGHT - _BOTTOM, _TOP, _round_ticks(low, high, 5))

    def place(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        share = (at - low) / (high - low)
        return round(self.begin + share * (self.end - self.begin), 1)


def _round_ticks(low: float, high: float, most: int, *, whole: bool = False) -> tuple[float, ...]:
    """Round numbers between two values, at most so many and one."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _STEPS if power * factor >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    return tuple(number * step for number in range(first, math.floor(high / step + 1e-9) + 1))


def _line(name: str, points: Sequence[Point], x_axis: _Axis, y_axis: _Axis) -> Line:
    """The path, broken where there is no number; a stretch of one point becomes a dot."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for epoch, value in thin(points, _MOST_POINTS):
        if value is None or not math.isfinite(value):
            stretches.append([])
        else:
            stretches[-1].append((x_axis.place(epoch), y_axis.place(value)))
    path = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in part) for part in stretches if len(part) > 1)
    kind = "rate" if name == LEARNING_RATE else "val" if name.startswith("val_") else "train"
    return Line(name=name, kind=kind, path=path, dots=tuple(part[0] for part in stretches if len(part) == 1))


def _words(name: str, points: Sequence[Point]) -> str:
    """`loss: 0.5902 in epoch 1, 0.0048 in epoch 10, lowest 0.0048 in epoch 10, highest …`."""
    finite = [(value, epoch) for epoch, value in points if value is not None and math.isfinite(value)]
    (first, first_at), (last, last_at) = finite[0], finite[-1]
    parts = [f"{name}: {_at(first, first_at)}"]
    if len(finite) > 1:
        lowest, highest = min(finite), max(finite)
        parts += [_at(last, last_at), f"lowest {_at(*lowest)}", f"highest {_at(*highest)}"]
    return ", ".join(parts)


def _at(value: float, epoch: float) -> str:
    return f"{formatting.metric(value)} in epoch {epoch + 1:.0f}"


def _label(value: float) -> str:
    return f"{value:.4g}"
