"""Fewer points for the same curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float | None]


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` of the points, in order: the first, the last, and of each stretch its lowest and its highest.

    So a spike of one epoch stays to be seen. Points without a finite value, where a curve is broken, stand for the
    stretch that holds nothing else.
    """
    if len(points) <= most:
        return list(points)
    stretches = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for number in range(stretches):
        begin, end = number * len(points) // stretches, (number + 1) * len(points) // stretches
        finite = [at for at in range(begin, end) if is_finite(points[at][1])]
        if finite:
            kept |= {min(finite, key=lambda at: points[at][1] or 0.0), max(finite, key=lambda at: points[at][1] or 0.0)}
        elif end > begin:
            kept.add(begin)
    return [points[at] for at in sorted(kept)][:most]


def is_finite(value: float | None) -> bool:
    """Whether a value can be drawn."""
    return value is not None and math.isfinite(value)
