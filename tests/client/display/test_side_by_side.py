"""Several runs in one table, wide and narrow, and as lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from raytrain.client.display.side_by_side import SideBySide, side_by_side
from raytrain.run.summary import RunSummary, summarize
from tests.cli.lives import RUN, beginning, epoch, whole_life

OTHER = "other-20261120-0716-ffff"


def summaries() -> list[RunSummary]:
    waiting = summarize(OTHER, beginning()[:4])
    return [summarize(RUN, [*beginning(epochs=9), *(epoch(number) for number in range(5))]), waiting]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_row_a_run(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(side_by_side(summaries(), {}, width=width))
    text = console.export_text()

    assert max(map(len, text.splitlines())) <= width
    for words in ("RUNNING", "5/9", "0.1000", "█▃▂▁▁"):
        assert words in text
    if width == 140:
        assert "reading and splitting the data" in text
        assert "val_loss 0.2000 (5)" in text and "1.64s" in text


def test_lines_off_a_terminal() -> None:
    lines: list[str] = []
    display = SideBySide([RUN, OTHER], io.StringIO(), write=lines.append)
    summary = RunSummary(run=RUN)
    for event in whole_life():
        summary.add(event)
        display.show(RUN, event, summary)
    display.close()
    assert lines[0].startswith(f"{RUN}: epoch 1/3 loss=0.5000")
