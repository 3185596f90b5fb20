"""Curves in a terminal: wide, narrow, and of ASCII alone."""

from __future__ import annotations

import math

import pytest

from raytrain.client.display.plot import plot_lines
from raytrain.run.epoch_row import EpochRow


def rows(values: list[float | None], name: str = "loss") -> list[EpochRow]:
    return [
        EpochRow(
            epoch=epoch,
            metrics={name: value, f"val_{name}": value},
            epoch_s=1.0,
            rows_per_s=1.0,
            learning_rate=None,
            attempt=1,
        )
        for epoch, value in enumerate(values)
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("blocks", [True, False])
def test_a_panel_fits(width: int, blocks: bool) -> None:
    lines = plot_lines(rows([1 / (epoch + 1) for epoch in range(50)]), width=width, blocks=blocks)
    assert max(map(len, lines)) <= width
    assert len(lines) >= 10
    text = "\n".join(lines)
    assert "loss" in text and "val_loss" in text and "epoch" in text
    assert "\x1b" not in text
    if not blocks:
        assert text.isascii()


def test_what_is_no_number_is_left_out() -> None:
    assert plot_lines(rows([None, math.nan, math.inf]), width=80) == []
    assert plot_lines(rows([1.0, None, 0.5]), width=80)
    assert plot_lines(rows([1.0]), width=80)


def test_a_hostile_name_is_text() -> None:
    assert "\x1b" not in "\n".join(plot_lines(rows([1.0, 2.0], name="a\x1b[2Jb"), width=80))
