"""The live table, drawn on a recorded terminal."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from raytrain.client.display.live import LiveDisplay, picture
from raytrain.client.watch import Idle
from raytrain.run import events
from raytrain.run.step_progress import StepProgress
from raytrain.run.summary import RunSummary, summarize
from tests.cli.lives import RUN, beginning, epoch, whole_life


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def drawn(summary: RunSummary, width: int = 120, **how: float) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    waited_s, since_epoch_s = how.get("waited_s", 0.0), how.get("since_epoch_s", 0.0)
    blocks = bool(how.get("blocks", True))
    console.print(picture(summary, waited_s=waited_s, since_epoch_s=since_epoch_s, width=width, blocks=blocks))
    return console.export_text()


def test_shows_what_a_starting_run_waits_for() -> None:
    text = drawn(summarize(RUN, beginning()[:4]), waited_s=12.3)

    assert RUN in text
    assert "2 workers, global batch 32, 1,437 rows" in text
    assert "reading and splitting the data  12s" in text


def test_shows_epochs_progress_best_and_patience() -> None:
    text = drawn(summarize(RUN, [*beginning(epochs=10), *(epoch(number) for number in range(4))]), since_epoch_s=0.2)

    assert "loss" in text and "val_accuracy" in text and "rows/s" in text
    assert "4/10" in text and "3,500" in text
    assert "2.26s left" in text
    assert "best val_loss 0.2250 (epoch 4)" in text
    assert "patience 3" in text


def test_shows_curves_pace_and_a_likely_cause() -> None:
    rising = [epoch(number, val_loss=0.2 + 0.1 * number) for number in range(5)]
    text = drawn(summarize(RUN, [*beginning(epochs=10), *rising]), since_epoch_s=0.2)

    assert "loss         █▃▂▁▁ 0.5000 to 0.1000" in text
    assert "3,500 rows/s, skew 2%" in text
    assert "a worker" not in text
    assert "49% of epoch 6" in text
    assert "likely: val_loss is rising since epoch 1" in text


def test_shows_memory_and_gpus_where_they_are_told_of() -> None:
    summary = summarize(RUN, [*beginning(epochs=10), epoch(0)])
    where = StepProgress(attempt=1, time=0.0, epoch=1, step=1, steps=4)
    summary.progress = replace(where, memory_bytes=3 << 28, gpu_utilization=0.91, gpu_memory_bytes=5 << 30)
    assert "skew 2%, 768.0 MiB a worker, GPU 91% busy, 5.0 GiB" in drawn(summary, since_epoch_s=0.2)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_leaves_out_whole_metrics(width: int) -> None:
    many = {f"metric_number_{number}": 0.5 for number in range(12)}
    text = drawn(summarize(RUN, [*beginning(epochs=30), *(epoch(n, **many) for n in range(12))]), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "0.5000" in text and "12/30" in text
    assert "…" not in text.split(RUN)[1].partition("loss")[2].partition("\n")[0]


def test_a_dumb_encoding_gets_ascii() -> None:
    text = drawn(summarize(RUN, [*beginning(epochs=10), *(epoch(number) for number in range(5))]), blocks=False)

    assert "loss         ^.___ 0.5000 to 0.1000" in text


def test_shows_the_last_ten_epochs_only() -> None:
    text = drawn(summarize(RUN, [*beginning(epochs=30), *(epoch(number) for number in range(25))]))

    assert "16/30" in text and "25/30" in text
    assert "15/30" not in text


def test_a_metric_of_a_hostile_name_is_text() -> None:
    hostile = epoch(0, **{"[red]\x1b[2Jmetric": 1.0})

    assert "[red]metric" in drawn(summarize(RUN, [*beginning(), hostile]))


def test_an_ended_run_has_no_progress_line() -> None:
    text = drawn(summarize(RUN, whole_life()))

    assert "SUCCEEDED" in text
    assert "left" not in text and "patience" not in text


def test_draws_on_a_terminal_and_leaves_the_table_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    display = LiveDisplay(terminal)
    summary = RunSummary(run=RUN)
    for event in [*whole_life(), events.Warned(run=RUN, attempt=1, time=0.0, message="mind \x1b[2J the [bold]gap")]:
        summary.add(event)
        display.show(event, summary)
    display.note("a line of the job's log")
    display.close()

    text = terminal.getvalue()
    assert "\x1b[?25h" in text  # the cursor is back
    assert "3/3" in text
    assert "mind  the [bold]gap" in text
    assert "a line of the job's log" in text


def test_a_moment_without_news_draws_little_anew() -> None:
    terminal = Terminal()
    display = LiveDisplay(terminal)
    display.close()
    summary = summarize(RUN, [*beginning(epochs=900), *(epoch(number) for number in range(800))])

    def cost_s(item: events.Event | Idle) -> float:
        began = time.process_time()
        for _ in range(20):
            display.show(item, summary)
            list(display._console.render(display._picture()))
        return time.process_time() - began

    assert cost_s(Idle()) < cost_s(epoch(800)) / 3


def test_no_color_leaves_colours_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    display = LiveDisplay(terminal)
    summary = summarize(RUN, whole_life())
    display.show(whole_life()[-1], summary)
    display.close()

    assert "\x1b[3" not in terminal.getvalue()
    assert "\x1b[9" not in terminal.getvalue()
