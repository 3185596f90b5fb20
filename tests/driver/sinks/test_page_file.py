"""The page of a run that lives: written when something has happened, seldom, and at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.driver.sinks.page_file import PageFile
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary
from tests.cli import lives


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / lives.RUN)
    paths.root.mkdir()
    return paths


def test_a_page_while_the_run_lives_and_one_at_its_end(paths: RunPaths) -> None:
    clock, summary = Clock(), RunSummary(run=lives.RUN)
    sink = PageFile(paths, clock=clock, spent=lambda: 0.0)
    written = []
    for event in lives.whole_life(epochs=4):
        summary.add(event)
        before = paths.report.stat().st_mtime_ns if paths.report.exists() else 0
        sink.take(event, summary.copy())
        if paths.report.exists() and paths.report.stat().st_mtime_ns != before:
            written.append(event.type)
        clock.now += 3.0
    sink.close()
    assert written == ["epoch_end", "epoch_end", "run_finished"], "every other one, five seconds apart"
    page = paths.report.read_text()
    assert "SUCCEEDED" in page
    assert "while it goes on" not in page


def test_a_page_that_takes_long_is_written_seldom(paths: RunPaths) -> None:
    class Slow(Clock):
        def __call__(self) -> float:
            self.now += 2.0
            return self.now

    clock, summary, written = Slow(), RunSummary(run=lives.RUN), 0
    sink = PageFile(paths, clock=clock, spent=Slow())
    for event in [*lives.beginning(epochs=200), *(lives.epoch(number) for number in range(200))]:
        summary.add(event)
        paths.report.unlink(missing_ok=True)
        sink.take(event, summary.copy())
        written += paths.report.exists()
    assert written == 2, "a hundred times as long as it took apart"


def test_a_later_attempt_tells_of_the_earlier_ones(paths: RunPaths) -> None:
    summary = RunSummary(run=lives.RUN)
    for event in lives.whole_life():
        summary.add(event)
    sink = PageFile(paths, earlier=lives.whole_life())
    sink.take(lives.ending()[-1], summary)
    assert "the first step is done" in paths.report.read_text()
