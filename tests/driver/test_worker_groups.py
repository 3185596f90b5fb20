"""What follows a worker group, with groups that end as a script says; real ones are for the integration tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raytrain.driver import elastic, worker_groups
from raytrain.driver.failure_policy import GroupFailure
from raytrain.driver.worker_groups import GroupEnd, WorkerGroups
from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.event_log import EventWriter
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason
from raytrain.run.summary import RunSummary
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest
from raytrain.spec.tier_choice import Tier, TierChoice

LOST = GroupFailure(lost_ranks=[1], position=(2, 7), account="a worker died")
BROKEN = GroupFailure(errors=[Failure(kind="ValueError", message="no", file="model.py", rank=0)])

DECIDED = events.TrainingEnded(epoch=3, step=7, reason="fall_back", message="the loss is nan")


def end(finished: str = "", failure: GroupFailure = LOST, **facts: Any) -> GroupEnd:
    given = {"stopped": None, "preempted": False, "queue_timed_out": False} | facts
    return GroupEnd(finished=finished, failure=failure, **given)


class Told:
    """Stands for the recorder."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.summary = RunSummary(run="case-1")
        self.resharded: tuple[str, str] | None = None

    def record(self, event: events.Event) -> None:
        self.events.append(event)

    def sharded(self, plans: str, tier: str) -> None:
        self.resharded = (plans, tier)


class Asked:
    """Stands for the stop; asked for once so many waits are over."""

    def __init__(self, after: int | None = None) -> None:
        self.waits: list[float] = []
        self.reason = Reason.STOPPED_BY_USER
        self._after = after

    @property
    def asked(self) -> bool:
        return self._after is not None and len(self.waits) >= self._after

    def leave_node(self) -> None:
        self.reason, self._after = Reason.PREEMPTED, 0

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.asked


class Case:
    """Runs a script of group ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> None:
        self.told, self.stop, self.sizes = Told(), Asked(), list[int]()
        self.paths = RunPaths(Path("/runs/case-1"))
        self.own_node_goes = False
        self.free: list[dict[str, float]] = [{"CPU": 8.0}]
        self.tier: Tier = "shared"
        job = {"name": "case", "model": "model.py:build", "data": {"train": {"csv": "a.csv"}, "features": "x"}}
        self.request = JobRequest(
            run="case-1", attempt=1, submitted_at=0.0, storage="/runs", spec=JobSpec.model_validate(job | spec)
        )
        monkeypatch.setattr(worker_groups, "free_resources", lambda: self.free)

    def run(self, *ends: GroupEnd) -> tuple[str, str]:
        self._script: Iterator[GroupEnd] = iter(ends)
        dataset = SimpleNamespace(tier=TierChoice(tier=self.tier, why=""), plans_for="for {}".format)
        parts: Sequence[Any] = (self.request, self.paths, self.told, dataset, None, self.stop, None, Path("/job"))
        status, reason, self.error = WorkerGroups(*cast(Any, parts)).run()
        assert next(self._script, None) is None
        return str(status), str(reason)

    def recorded(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self.told.events if isinstance(event, kind)]


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(**spec: Any) -> Case:
        made = Case(monkeypatch, **spec)

        def run_group(self: WorkerGroups) -> GroupEnd:
            made.sizes.append(self._workers)
            if made.own_node_goes:
                made.stop.leave_node()
            return next(made._script)

        monkeypatch.setattr(WorkerGroups, "_run_group", run_group)
        return made

    return make


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("completed", "SUCCEEDED"),
        ("early_stopped", "SUCCEEDED"),
        ("stopped_by_user", "STOPPED"),
        ("diverged", "FAILED"),
    ],
)
def test_a_group_that_finished_ends_the_run(case: Any, reason: str, status: str) -> None:
    assert case().run(end(reason)) == (status, reason)


def test_a_lost_worker_is_followed_by_another_group(case: Any) -> None:
    made = case()
    assert made.run(end(), end("completed")) == ("SUCCEEDED", "completed")
    [failed] = made.recorded(events.GroupFailed)
    assert failed.retrying is True
    assert made.recorded(events.WorkerLost)[0].ranks == [1]


def test_the_same_loss_twice_ends_the_run(case: Any) -> None:
    made = case()
    assert made.run(end(), end()) == ("FAILED", "worker_lost")
    assert "twice at the same step" in made.error.message


def test_an_error_of_the_users_is_not_tried_again(case: Any) -> None:
    assert case().run(end(failure=BROKEN)) == ("FAILED", "user_code")


def test_a_stop_in_the_wait_for_the_next_group_is_heard(case: Any) -> None:
    made = case()
    made.stop = Asked(after=1)
    assert made.run(end()) == ("STOPPED", "stopped_by_user")


def test_falling_back_is_counted(case: Any) -> None:
    made = case(divergence={"action": "fall_back", "learning_rate_factor": 0.5, "max": 2})
    fell = end("fall_back", stopped=DECIDED)
    assert made.run(fell, fell, end("completed")) == ("SUCCEEDED", "completed")
    told = made.recorded(events.FellBack)
    assert [(event.epoch, event.learning_rate_factor) for event in told] == [(3, 0.5), (3, 0.25)]

    again = case(divergence={"action": "fall_back", "max": 2})
    assert again.run(fell, fell, fell) == ("FAILED", "diverged")


def test_a_resize_takes_the_room_there_is(case: Any) -> None:
    made = case(scaling={"workers": 4, "min_workers": 2})
    made.free = [{"CPU": 4.0}]
    assert made.run(end("resize"), end("completed")) == ("SUCCEEDED", "completed")
    assert made.sizes == [4, 4]
    assert (made.recorded(events.Resized), made.told.resharded) == ([], None)


def test_a_lost_node_makes_the_group_smaller(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "SETTLE_S", 0.0)
    made = case(scaling={"workers": 4, "min_workers": 2})
    rooms = iter([[{"CPU": 4.0}], [{"CPU": 3.0}]])
    monkeypatch.setattr(worker_groups, "free_resources", lambda: next(rooms))
    assert made.run(end(), end("completed")) == ("SUCCEEDED", "completed")
    assert made.sizes == [4, 3]
    assert made.recorded(events.Resized) == [events.Resized(workers=3, before=4)]
    assert made.told.resharded == ("for 3", "shared")


def test_room_that_comes_free_piece_by_piece_is_waited_for(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: a size is settled on when no more has come for a while."""
    now = 0.0

    def wait(seconds: float) -> bool:
        nonlocal now
        now += 4.0
        return False

    made = case(scaling={"workers": 4, "min_workers": 1})
    monkeypatch.setattr("raytrain.driver.worker_groups.time.monotonic", lambda: now)
    made.stop.wait = wait
    rooms = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    monkeypatch.setattr(worker_groups, "free_resources", lambda: [{"CPU": next(rooms)}])
    assert made.run(end("completed")) == ("SUCCEEDED", "completed")
    assert made.sizes == [4]


def test_workers_that_read_while_they_train_leave_a_cpu_free(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elastic, "SETTLE_S", 0.0)
    made = case(scaling={"workers": 4, "min_workers": 2})
    made.tier, made.free = "sharded", [{"CPU": 4.0}]
    assert made.run(end("completed")) == ("SUCCEEDED", "completed")
    assert made.sizes == [3]


def test_a_node_that_goes_costs_no_restart(case: Any) -> None:
    made = case(restarts={"max": 0})
    gone = end("stopped_by_user", preempted=True)
    assert made.run(gone, gone, end("completed")) == ("SUCCEEDED", "completed")
    assert made.recorded(events.GroupFailed) == []


@pytest.mark.parametrize("last", [end("stopped_by_user", preempted=True), end("resize"), end(preempted=True)])
def test_where_the_drivers_own_node_goes_the_run_stops(case: Any, last: GroupEnd) -> None:
    made = case()
    made.own_node_goes = True
    assert made.run(last) == ("STOPPED", "preempted")


@pytest.mark.parametrize("reason", ["completed", "early_stopped"])
def test_a_group_that_came_to_its_end_though_its_node_goes_ends_the_run(case: Any, reason: str) -> None:
    assert case().run(end(reason, preempted=True)) == ("SUCCEEDED", reason)


def test_fall_backs_outlive_the_driver(case: Any, tmp_path: Path) -> None:
    rule = {"action": "fall_back", "learning_rate_factor": 0.5, "max": 2}
    fell = end("fall_back", stopped=DECIDED)
    after = case(divergence=rule)
    after.paths = RunPaths(tmp_path)
    writer = EventWriter(after.paths.events)
    writer.append(events.FellBack(run="case-1", attempt=1, time=0.0, epoch=1, learning_rate_factor=0.5))
    writer.close()
    assert after.run(fell, fell) == ("FAILED", "diverged")
    assert [event.learning_rate_factor for event in after.recorded(events.FellBack)] == [0.25]


def test_no_room_in_time(case: Any) -> None:
    made = case(scaling={"workers": 4, "queue_timeout": "2m"})
    assert made.run(end(queue_timed_out=True)) == ("FAILED", "resources")
    assert made.error.message == "the cluster had no room for 4 CPU within 2m00s"


def test_a_run_that_diverged_says_where(case: Any) -> None:
    status, reason, error = worker_groups.verdict(Reason.DIVERGED, DECIDED)
    assert (status, reason) == ("FAILED", "diverged")
    assert error is not None
    assert error.message == "the loss is nan in epoch 4, seen at step 7"
