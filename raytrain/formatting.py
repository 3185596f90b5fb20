"""How numbers, durations, sizes and times are written for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime


def metric(value: float | None) -> str:
    """`0.1234`, `1.234e-05`; a value that JSON had no number for is `nan`."""
    if value is None or not math.isfinite(value):
        return "nan"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}"
    return f"{value:.3e}"


def metrics(values: Mapping[str, float | None]) -> str:
    """`loss=0.1234 accuracy=0.9610`."""
    return " ".join(f"{name}={metric(value)}" for name, value in values.items())


def seconds(value: float | None) -> str:
    """`0.41s`, `37.6s`, `4m10s`, `2h05m`."""
    if value is None:
        return "-"
    if value < 9.995:  # what would round to 10.00s
        return f"{value:.2f}s"
    if value < 99.95:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(value: float) -> str:
    """`312 B`, `4.2 KiB`, `1.3 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def count(value: float | None) -> str:
    """`1,437`; `-` where unknown."""
    return "-" if value is None else f"{value:,.0f}"


def plural(value: int, noun: str, several: str = "") -> str:
    """`1 epoch`, `10 epochs`; `several` is the noun's plural where that does not end in a mere s."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {several or noun + 's'}"


def moment(timestamp: float | None) -> str:
    """Local time of `timestamp`, seconds since the epoch: `2026-11-20 07:15`."""
    return "-" if timestamp is None else f"{datetime.fromtimestamp(timestamp):%Y-%m-%d %H:%M}"
