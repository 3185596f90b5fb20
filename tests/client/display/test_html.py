"""A run as a notebook shows it, and the cell that is drawn anew while it goes on."""

from __future__ import annotations

import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from raytrain.client.display.html import run_html
from raytrain.client.display.show import in_notebook
from raytrain.errors import Failure
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary, summarize
from tests.cli import lives


def test_it_shows_state_metrics_curve_and_how_to_go_on() -> None:
    html = run_html(summarize(lives.RUN, lives.whole_life()))

    assert "SUCCEEDED (all epochs done)" in html
    assert "3 of 3 epochs" in html and "1,437 rows" in html
    assert len(re.findall(r"<polyline", html)) == 2
    assert "val_accuracy" in html and "0.1667" in html
    assert f"raytrain.get(&quot;{lives.RUN}&quot;).model()" in html
    ElementTree.fromstring(html)  # every tag is closed


def test_whatever_a_run_says_is_text() -> None:
    hostile = "<script>alert(1)</script>\x1b[2J"
    summary = RunSummary(run=hostile, warnings=[hostile], error=Failure(kind="E", message=hostile, file=hostile))
    summary.add(lives.epoch(0, **{hostile: 1.0}))

    html = run_html(summary, waiting=hostile, notes=[hostile])

    assert "<script" not in html and "\x1b" not in html
    assert html.count("&lt;script&gt;") >= 5


@pytest.mark.parametrize("loss", [float("nan"), None, float("inf")])
def test_a_loss_that_is_no_number_draws_no_point(loss: float | None) -> None:
    events = [*lives.beginning(), lives.epoch(0), lives.epoch(1, loss=loss, val_loss=loss), lives.epoch(2)]

    html = run_html(summarize(lives.RUN, events))

    [train, _] = re.findall(r'points="([^"]*)"', html)
    assert len(train.split()) == 2
    assert "nan" not in train and "inf" not in train


def test_a_run_of_thousands_of_epochs_stays_small() -> None:
    events = [*lives.beginning(epochs=20_000), *(lives.epoch(number) for number in range(20_000))]

    assert len(run_html(summarize(lives.RUN, events))) < 20_000


@pytest.mark.parametrize(
    ("status", "words"),
    [(RunStatus.FAILED, ".resume()"), (RunStatus.STOPPED, ".resume()"), (RunStatus.RUNNING, ".wait()")],
)
def test_it_says_how_to_go_on(status: RunStatus, words: str) -> None:
    assert words in run_html(RunSummary(run="a-1", status=status))


def test_this_process_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()

    class Shell:
        kernel: Any = None

    class IPython:
        @staticmethod
        def get_ipython() -> Shell:
            return Shell()

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert not in_notebook()  # of a terminal
    Shell.kernel = object()
    assert in_notebook()


def test_a_cell_is_drawn_anew_a_few_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    display_module = pytest.importorskip("IPython.display")
    from raytrain.client.display.notebook import NotebookDisplay

    drawn: list[str] = []
    now = [0.0]

    class Handle:
        def update(self, picture: Any) -> None:
            drawn.append(picture.data)

    monkeypatch.setattr(display_module, "display", lambda *_, **__: Handle())
    display = NotebookDisplay(clock=lambda: now[0])
    summary = summarize(lives.RUN, lives.beginning())
    for number in range(100):
        now[0] += 0.1
        summary.add(lives.epoch(number))
        display.show(lives.epoch(number), summary)
    display.close()

    assert 15 <= len(drawn) <= 25
    assert "100 of 3 epochs" in drawn[-1]
