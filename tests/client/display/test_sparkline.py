"""Curves in a line of text."""

from __future__ import annotations

import math

import pytest

from raytrain.client.display.sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([None, math.nan], ""),
        ([1.0], "▁"),
        ([1.0, 1.0], "▁▁"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"),
        ([1.0, None, math.inf, 0.0], "█  ▁"),
        ([-1e308, 1e308], "▁█"),
    ],
)
def test_values(values: list[float | None], drawn: str) -> None:
    assert sparkline(values, width=10) == drawn


def test_many_values_are_drawn_by_their_means() -> None:
    assert sparkline([0.0] * 500 + [1.0] * 500, width=10) == "▁▁▁▁▁█████"
    assert sparkline([float(at) for at in range(1000)], width=5, plain=True) == "_.-=^"
