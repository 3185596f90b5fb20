from __future__ import annotations

import json
from pathlib import Path

import pytest

from raytrain.driver.sinks import metrics_file
from raytrain.driver.sinks.metrics_file import MetricsFile
from raytrain.files import write_whole
from raytrain.run.events import EpochEnd, Event, Restored
from raytrain.run.summary import RunSummary


def ended(epoch: int, loss: float = 0.5) -> EpochEnd:
    return EpochEnd(
        run="a",
        attempt=1,
        time=0.0,
        epoch=epoch,
        metrics={"loss": loss},
        seconds=1.0,
        rows_per_s=1.0,
        rank_seconds=[1.0],
        rank_rows_per_s=[1.0],
        learning_rate=None,
        best=None,
        patience_left=None,
    )


def restored(epoch: int) -> Restored:
    return Restored(run="a", attempt=1, time=0.0, epoch=epoch, path="/c", step=0)


class Case:
    """A run's file, brought up to date after every event; `whole` counts how often it was written anew."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "metrics.jsonl"
        self.file, self.summary, self.whole = MetricsFile(self.path), RunSummary(run="a"), 0
        monkeypatch.setattr(metrics_file, "write_whole", self._write)

    def _write(self, path: Path, text: str) -> None:
        self.whole += 1
        write_whole(path, text)

    def follow(self, *events: Event) -> None:
        for event in events:
            self.summary.add(event)
            self.file.take(event, self.summary)

    def assert_up_to_date(self) -> None:
        assert [json.loads(line) for line in self.path.read_text().splitlines()] == [
            row.to_json() for row in self.summary.epoch_rows()
        ]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path, monkeypatch)


def test_epochs_that_follow_one_another_are_appended(case: Case) -> None:
    case.path.write_text("what an earlier process left torn")
    case.follow(*map(ended, range(5)))
    assert case.whole == 1
    case.assert_up_to_date()


@pytest.mark.parametrize("again", [[restored(1)], [ended(3, 0.1)], [ended(1, 0.1)], [restored(0), ended(1, 0.1)]])
def test_it_is_written_anew_where_epochs_are_forgotten(again: list[Event], case: Case) -> None:
    case.follow(*map(ended, range(4)), *again)
    assert case.whole == 2
    case.assert_up_to_date()
    newest = max(case.summary.epochs)
    case.follow(ended(newest + 1))
    assert case.whole == 2
    case.assert_up_to_date()


def test_what_could_not_be_appended_is_written_with_the_next(case: Case) -> None:
    case.follow(ended(0), ended(1))
    case.path.unlink()
    case.path.mkdir()
    with pytest.raises(OSError, match="directory"):
        case.follow(ended(2))
    case.path.rmdir()
    case.follow(ended(3))
    assert case.whole == 2
    case.assert_up_to_date()
