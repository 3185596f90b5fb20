"""What a tracker is told, and when, whatever becomes of it in between."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from raytrain.driver.trackers.follower import Follower, read_position
from raytrain.driver.trackers.tracker import TrackedRun, parameters
from raytrain.run.events import EpochEnd, Event, Restored
from tests.driver.trackers.tracked import FINISHED, SUBMITTED, Directory, epoch


class Told:
    """A tracker that takes all, but for the first `fails` times."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.epochs, self.closed = fails, list[int](), False

    def take(self, events: Sequence[Event]) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("nobody answers")
        self.epochs += [event.epoch for event in events if isinstance(event, EpochEnd)]

    def close(self) -> None:
        self.closed = True


class Case:
    def __init__(self, root: Path) -> None:
        self.directory, self.said, self.ending = Directory(root), list[str](), threading.Event()

    def follow(self, tracker: Told, *, ends: bool = True) -> bool:
        """Until the end of the run, which is now, or comes when all is told."""

        def open_(run: TrackedRun) -> Told:
            return tracker

        follower = Follower(
            *("mlflow", self.directory.tracked(), open_),
            say=self.said.append,
            ending=self.ending,
            look_every_s=0.01,
            first_pause_s=0.01,
        )
        if ends:
            self.ending.set()
        return follower.follow()

    @property
    def told(self) -> int:
        return int(read_position(self.directory.paths, "mlflow").get("told", 0))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_it_is_told_all_and_that_is_kept(case: Case) -> None:
    case.directory.add(SUBMITTED, *map(epoch, range(3)), FINISHED)
    tracker = Told()
    assert case.follow(tracker)
    assert (tracker.epochs, tracker.closed, case.told, case.said) == ([0, 1, 2], True, 5, [])


def test_one_that_was_down_is_caught_up(case: Case) -> None:
    case.directory.add(*map(epoch, range(3)))
    tracker = Told(fails=3)
    thread = threading.Thread(target=lambda: case.follow(tracker, ends=False), daemon=True)
    thread.start()
    while case.told < 3:
        assert thread.is_alive()
        thread.join(0.01)
    case.directory.add(epoch(3))
    case.ending.set()
    thread.join(30)
    assert tracker.epochs == [0, 1, 2, 3]
    first, last = case.said
    assert "mlflow cannot be told now, and the run goes on: nobody answers" in first
    assert last == "mlflow works again"


def test_one_that_is_down_when_the_run_ends_is_left_and_told_by_another_process(case: Case) -> None:
    case.directory.add(*map(epoch, range(3)))
    assert not case.follow(Told(fails=99))
    assert case.told == 0
    assert "lacks the run's last 3 events" in case.said[-1]
    tracker = Told()
    assert case.follow(tracker)
    assert tracker.epochs == [0, 1, 2]


def test_what_was_told_is_not_told_again(case: Case) -> None:
    case.directory.add(*map(epoch, range(3)))
    assert case.follow(Told())
    case.directory.add(epoch(3))
    tracker = Told()
    assert case.follow(tracker)
    assert tracker.epochs == [3]


def test_epochs_that_are_trained_again_are_told_where_they_differ(case: Case) -> None:
    restored = Restored(epoch=0, path="/c")
    case.directory.add(*map(epoch, range(3)), restored, epoch(1), epoch(2, loss=9.0), epoch(3))
    tracker = Told()
    assert case.follow(tracker)
    assert tracker.epochs == [0, 1, 2, 2, 3]


def test_a_damaged_position_tells_all_anew(case: Case) -> None:
    case.directory.add(epoch(0))
    assert case.follow(Told())
    case.directory.paths.tracker("mlflow").write_text('{"to')
    tracker = Told()
    assert case.follow(tracker)
    assert tracker.epochs == [0]


def test_parameters_are_plain_values_without_rows(case: Case) -> None:
    found = parameters(case.directory.spec)
    assert found["fit.global_batch_size"] == 32
    assert found["model.layers"] == '[{"Dense": {"units": 1}}]'
    assert not [name for name in found if "inline" in name]
