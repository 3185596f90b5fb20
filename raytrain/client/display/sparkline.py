"""A curve in a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.-=^"


def sparkline(values: Sequence[float | None], *, width: int, plain: bool = False) -> str:
    """One letter a value, or a stretch of values, its mean; what is no number is a gap.

    Args:
        width: letters at most.
        plain: ASCII, for what can show no more.
    """
    levels = _ASCII if plain else _BLOCKS
    means = [_mean(part) for part in _stretches(values, width)]
    finite = [mean for mean in means if mean is not None]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(" " if mean is None else levels[_level(mean, low, high, len(levels))] for mean in means)


def _stretches(values: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    count = min(width, len(values))
    return [values[at * len(values) // count : (at + 1) * len(values) // count] for at in range(count)]


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(value / len(finite) for value in finite) if finite else None


def _level(value: float, low: float, high: float, levels: int) -> int:
    share = 0.0 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2)  # halves: their difference is finite
    return min(levels - 1, int(share * levels))
