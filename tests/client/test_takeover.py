"""The loop that takes over a lost driver: what a follower is given, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytrain.client.registry import RunRecord
from raytrain.client.run_view import RunView
from raytrain.client.submit import Submitted, submit
from raytrain.client.takeover import Deadline, Item, Overtaken, Resubmitted, Resubmitting, Takeover, follow
from raytrain.client.watch import Gatherer, Idle, StatusChange, watch
from raytrain.errors import ClusterUnreachable, Problem, StateUnknown, WaitTimedOut
from raytrain.run.events import EpochEnd, Event
from raytrain.run.events import Submitted as SubmittedEvent
from raytrain.run.run_status import RunStatus
from raytrain.spec.load import load_job
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster
from tests.integration.conftest import JOBS

LOST = Life(events=[*lives.beginning(), lives.epoch(0)], status="FAILED", message="exit code 137")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("raytrain.client.watch.GRACE_S", 0.5)  # a stand-in's log needs no time to come through
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    """A cluster on which the first driver is lost, and the second comes to its end."""
    with stand_in_cluster(LOST) as cluster:
        cluster.later = [Life(events=[lives.beginning()[0], lives.epoch(0), lives.epoch(1), *lives.ending()])]
        yield cluster


def submitted(cluster: StandIn, tmp_path: Path, *, restarts: int = 1) -> Submitted:
    overrides = [f"storage={tmp_path / 'runs'}", f"restarts.driver={restarts}"]
    return submit(load_job(str(JOBS / "digits"), overrides=overrides), address=cluster.url, overrides=overrides)


def followed(view: RunView, **options: Any) -> list[Item]:
    return [item for item in follow(view, **options) if not isinstance(item, Idle)]


def takeovers(items: list[Item]) -> list[Takeover]:
    return [item for item in items if isinstance(item, Takeover)]


def test_a_lost_driver_is_replaced_and_told_of(cluster: StandIn, tmp_path: Path) -> None:
    taken = submitted(cluster, tmp_path)
    view, words = RunView(taken.record), list[str]()

    items = followed(view, resubmits=True, progress=words.append)

    about_to, done = takeovers(items)
    assert about_to == Resubmitting(run=taken.run, lost=1, attempt=2)
    assert done == Resubmitted(run=taken.run, lost=1, attempt=2, warnings=())
    assert f"submitting {taken.run}-a2" in words
    assert (view.summary.status, view.summary.reason, view.summary.attempts) == ("SUCCEEDED", "completed", 2)
    assert (view.record.attempt, view.record.job) == (2, str(JOBS / "digits" / "job.yaml"))


def test_no_event_is_given_twice_over_the_attempts(cluster: StandIn, tmp_path: Path) -> None:
    items = followed(RunView(submitted(cluster, tmp_path).record), resubmits=True)

    events = [item for item in items if isinstance(item, Event)]
    assert [event.attempt for event in events if isinstance(event, SubmittedEvent)] == [1, 2]
    assert [(event.attempt, event.epoch) for event in events if isinstance(event, EpochEnd)] == [(1, 0), (2, 0), (2, 1)]
    ends = [item.status for item in items if isinstance(item, StatusChange) and item.final]
    assert ends == [RunStatus.FAILED, RunStatus.SUCCEEDED]


@pytest.mark.parametrize(("restarts", "resubmits"), [(0, True), (1, False)])
def test_a_driver_that_nobody_is_to_replace_ends_it(
    restarts: int, resubmits: bool, cluster: StandIn, tmp_path: Path
) -> None:
    view = RunView(submitted(cluster, tmp_path, restarts=restarts).record)

    items = followed(view, resubmits=resubmits)

    assert takeovers(items) == []
    assert (view.summary.status, view.summary.reason, len(cluster.jobs)) == ("FAILED", "driver_lost", 1)


def test_who_is_overtaken_takes_up_with_the_attempt_of_another(
    cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = submitted(cluster, tmp_path)
    theirs = replace(taken.record, attempt=2)
    monkeypatch.setattr("raytrain.client.takeover.later_attempt", lambda *_: theirs)
    view = RunView(taken.record)

    for item in follow(view, resubmits=True):
        if isinstance(item, Takeover):
            break

    assert item == Overtaken(run=taken.run, lost=1, attempt=2)
    assert (view.record, view.attempt, len(cluster.jobs)) == (theirs, 2, 1)


def test_an_attempt_that_cannot_be_submitted_is_an_error(
    cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ClusterUnreachable(Problem(got="nothing", expected="a cluster"))

    view = RunView(submitted(cluster, tmp_path).record)
    monkeypatch.setattr("raytrain.client.resume.submit", away)

    with pytest.raises(ClusterUnreachable):
        followed(view, resubmits=True)
    assert (view.summary.status, view.summary.reason) == ("FAILED", "driver_lost")


@pytest.mark.parametrize("answers", [True, False])
def test_a_cluster_that_was_started_anew_is_submitted_to_one_that_is_silent_is_not(
    answers: bool, cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(gatherer: Gatherer) -> Iterator[Event | StatusChange | Idle]:
        if gatherer.attempt > 1:
            yield from watch(gatherer)
            return
        gatherer.answered = answers
        yield StatusChange(run=gatherer.run, attempt=1, time=0.0, status=RunStatus.UNKNOWN, final=True)
        raise StateUnknown(message="the cluster knows no such job")

    view = RunView(submitted(cluster, tmp_path).record)
    cluster.threads[-1].join()
    monkeypatch.setattr("raytrain.client.takeover.watch", forgotten)

    if answers:
        followed(view, resubmits=True)
    else:
        with pytest.raises(StateUnknown):
            followed(view, resubmits=True)

    assert view.summary.status == ("SUCCEEDED" if answers else "UNKNOWN")


def test_the_deadline_leaves_the_run_alone(tmp_path: Path) -> None:
    with stand_in_cluster(Life(events=lives.beginning(), status="RUNNING")) as cluster:
        view = RunView(submitted(cluster, tmp_path).record)
        with pytest.raises(WaitTimedOut, match=f"raytrain watch {view.record.run}"):
            followed(view, deadline=Deadline(view.record.run, 0.5))
        assert [job.status for job in cluster.jobs.values()] == ["RUNNING"]
    assert view.summary.status is RunStatus.RUNNING


def test_a_deadline_that_has_passed_does_not_hide_the_end(tmp_path: Path) -> None:
    lives.write_log(tmp_path / lives.RUN, lives.ending()[-1:])
    view = RunView(RunRecord(run=lives.RUN, storage=str(tmp_path)))

    assert len(followed(view, deadline=Deadline(lives.RUN, 0.0))) == 2
    assert view.summary.status is RunStatus.SUCCEEDED


def test_who_stopped_in_between_goes_on_with_the_same_view(cluster: StandIn, tmp_path: Path) -> None:
    view = RunView(submitted(cluster, tmp_path).record)
    cluster.threads[-1].join()
    first: list[Item] = []
    for item in follow(view):
        if isinstance(item, StatusChange):
            break
        first.append(item)

    rest = followed(view)

    assert not any(isinstance(item, Event) for item in rest)
    assert (len(first), view.summary.reason) == (len(LOST.events), "driver_lost")
