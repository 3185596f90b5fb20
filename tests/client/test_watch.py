"""The watcher: a stream that ends only when the run has, and one look."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from raytrain.client.run_state import Verdict
from raytrain.client.watch import Gatherer, Idle, StatusChange, look, watch
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterUnreachable, NotFound, Problem, StateUnknown
from raytrain.run.event_json import to_line
from raytrain.run.event_log import EventWriter, read_events
from raytrain.run.events import EpochEnd, Event, GroupStarted, RunFinished, Submitted
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus

RUN = "digits-20261120-0715-4f2a"


def finished(status: str = "SUCCEEDED", reason: str = "completed", attempt: int = 1) -> RunFinished:
    return RunFinished(run=RUN, attempt=attempt, time=9.0, status=status, reason=reason)


def started(attempt: int = 1) -> GroupStarted:
    return GroupStarted(run=RUN, attempt=attempt, time=2.0, workers=2)


def submitted() -> Submitted:
    return Submitted(
        run=RUN,
        attempt=1,
        time=1.0,
        name="digits",
        workers=2,
        global_batch_size=32,
        epochs=3,
        storage="/s",
        submitted_at=0.0,
    )


def epoch(number: int) -> EpochEnd:
    return EpochEnd(
        run=RUN,
        attempt=1,
        time=3.0 + number,
        epoch=number,
        metrics={"loss": 1.0 / (number + 1)},
        seconds=0.5,
        rows_per_s=3000.0,
        rank_seconds=[0.5, 0.5],
        rank_rows_per_s=[1500.0, 1500.0],
    )


def job(status: RunStatus, message: str = "") -> JobInfo:
    return JobInfo(submission_id=RUN, status=status, message=message, entrypoint="python -m raytrain.driver")


@dataclass
class FakeCluster:
    """Stands in for the Jobs API: answers from a script, one entry a question; the last one stays."""

    answers: list[JobInfo | Exception]
    mirror: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def job(self, submission_id: str) -> JobInfo:
        self.asked.append(submission_id)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def event_lines(self, submission_id: str) -> list[str]:
        return self.mirror.get(submission_id, [])


class Time:
    """A clock that only sleeping moves, with things that happen at a given second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.happenings: list[tuple[float, Callable[[], None]]] = []

    def at(self, second: float, action: Callable[[], None]) -> Time:
        self.happenings.append((second, action))
        return self

    def clock(self) -> float:
        return self.now

    def sleep(self, duration_s: float) -> None:
        assert self.now < 600, "the stream never ended"
        self.now += duration_s
        for happening in [item for item in self.happenings if item[0] <= self.now]:
            self.happenings.remove(happening)
            happening[1]()


def log(directory: Path, *events: Event) -> None:
    """Appends to the run's event log, as the driver does."""
    writer = EventWriter(RunPaths(directory).events)
    for event in events:
        writer.append(event)
    writer.close()


def unreachable() -> ClusterUnreachable:
    return ClusterUnreachable(Problem(got="nothing", expected="a cluster"))


def unknown_job() -> NotFound:
    return NotFound(Problem(got=RUN, expected="a job"))


def stream(
    time: Time, cluster: FakeCluster | None, directory: Path | None, **options: Any
) -> list[Event | StatusChange]:
    paths = RunPaths(directory) if directory else None
    gatherer = Gatherer(RUN, paths=paths, jobs=cluster, clock=time.clock)
    return [item for item in watch(gatherer, sleep=time.sleep, **options) if not isinstance(item, Idle)]


def statuses(items: list[Event | StatusChange]) -> list[str]:
    return [str(item.status) for item in items if isinstance(item, StatusChange)]


def test_follows_a_run_through_its_directory(tmp_path: Path) -> None:
    time = Time()
    time.at(2, lambda: log(tmp_path / RUN, submitted(), started()))
    time.at(5, lambda: log(tmp_path / RUN, epoch(0), epoch(1)))
    time.at(8, lambda: log(tmp_path / RUN, epoch(2), finished()))
    cluster = FakeCluster([job(RunStatus.PENDING), job(RunStatus.RUNNING)])

    items = stream(time, cluster, tmp_path / RUN)

    assert [item.type for item in items if isinstance(item, Event)] == [
        "submitted",
        "attempt_started",
        "epoch_end",
        "epoch_end",
        "epoch_end",
        "run_finished",
    ]
    assert statuses(items) == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert isinstance(items[-1], StatusChange) and items[-1].final


def test_reads_the_mirror_where_the_directory_is_out_of_sight() -> None:
    time = Time()
    cluster = FakeCluster([job(RunStatus.RUNNING)])
    lines = [to_line(event) for event in (submitted(), started(), epoch(0), finished())]
    time.at(3, lambda: cluster.mirror.update({RUN: lines[:3]})).at(6, lambda: cluster.mirror.update({RUN: lines}))

    items = stream(time, cluster, None)

    assert sum(isinstance(item, EpochEnd) for item in items) == 1
    assert statuses(items)[-1] == "SUCCEEDED"


def test_gives_no_event_twice_when_the_directory_shows_up_late(tmp_path: Path) -> None:
    time = Time()
    all_events = [submitted(), started(), epoch(0), epoch(1), finished()]
    cluster = FakeCluster([job(RunStatus.RUNNING)], mirror={RUN: [to_line(event) for event in all_events[:3]]})
    time.at(4, lambda: log(tmp_path / RUN, *all_events))

    items = stream(time, cluster, tmp_path / RUN)

    assert [item for item in items if isinstance(item, Event)] == all_events


def test_follows_the_next_attempt(tmp_path: Path) -> None:
    log(tmp_path / RUN, submitted(), started(), finished("FAILED", "worker_lost"), started(attempt=2))
    time = Time().at(5, lambda: log(tmp_path / RUN, finished(attempt=2)))
    cluster = FakeCluster([job(RunStatus.RUNNING)])

    items = stream(time, cluster, tmp_path / RUN)

    assert statuses(items)[-1] == "SUCCEEDED"
    assert cluster.asked[-1] == f"{RUN}-a2"


def test_what_the_attempt_before_came_to_ends_nothing(tmp_path: Path) -> None:
    log(tmp_path / RUN, submitted(), started(), finished("STOPPED", "stopped_by_user"))
    time = Time().at(5, lambda: log(tmp_path / RUN, started(attempt=2), finished(attempt=2)))
    gatherer = Gatherer(
        RUN, attempt=2, paths=RunPaths(tmp_path / RUN), jobs=FakeCluster([job(RunStatus.PENDING)]), clock=time.clock
    )

    items = list(watch(gatherer, sleep=time.sleep))

    shown = [item.status for item in items if isinstance(item, StatusChange)]
    assert shown == ["PENDING", "SUCCEEDED"]


def test_a_driver_that_dies_without_a_word(tmp_path: Path) -> None:
    cluster = FakeCluster([job(RunStatus.RUNNING), job(RunStatus.FAILED, message="exit code 137\nKilled")])

    last = stream(Time(), cluster, tmp_path / RUN)[-1]

    assert isinstance(last, StatusChange)
    assert (last.status, last.reason) == (RunStatus.FAILED, "driver_lost")
    assert last.error is not None and "Killed" in last.error.message


def test_a_short_outage_changes_nothing(tmp_path: Path) -> None:
    time = Time().at(40, lambda: log(tmp_path / RUN, finished()))
    cluster = FakeCluster([job(RunStatus.RUNNING), unreachable()])

    items = stream(time, cluster, tmp_path / RUN)

    assert statuses(items) == ["RUNNING", "RUNNING", "SUCCEEDED"]
    assert [item.silent for item in items if isinstance(item, StatusChange)] == [False, True, False]


def test_a_log_that_grows_counts_as_life_while_the_cluster_is_silent(tmp_path: Path) -> None:
    time = Time()
    for number in range(5):
        time.at(30 * (number + 1), functools.partial(log, tmp_path / RUN, epoch(number)))
    time.at(180, lambda: log(tmp_path / RUN, finished()))

    items = stream(time, FakeCluster([job(RunStatus.RUNNING), unreachable()]), tmp_path / RUN, patience_s=60)

    assert statuses(items)[-1] == "SUCCEEDED"


def test_a_cluster_that_stays_silent_leaves_the_state_unknown(tmp_path: Path) -> None:
    time = Time()

    with pytest.raises(StateUnknown) as caught:
        stream(time, FakeCluster([job(RunStatus.RUNNING), unreachable()]), tmp_path / RUN, patience_s=20)

    assert 20 <= time.now < 25
    assert f"raytrain status {RUN}" in str(caught.value)
    assert "the cluster does not answer (got nothing, expected a cluster)" in str(caught.value)


def test_a_finished_run_needs_no_cluster(tmp_path: Path) -> None:
    log(tmp_path / RUN, submitted(), started(), epoch(0), finished("STOPPED", "stopped_by_user"))
    cluster = FakeCluster([unreachable()])

    assert statuses(stream(Time(), cluster, tmp_path / RUN)) == ["STOPPED"]
    assert not cluster.asked
    assert statuses(stream(Time(), None, tmp_path / RUN)) == ["STOPPED"]


@pytest.mark.parametrize(
    ("answer", "events", "expected"),
    [
        pytest.param(job(RunStatus.RUNNING), [submitted(), started()], RunStatus.RUNNING, id="running"),
        pytest.param(job(RunStatus.FAILED), [submitted(), started()], RunStatus.FAILED, id="driver lost, at once"),
        pytest.param(unreachable(), [submitted(), started()], RunStatus.UNKNOWN, id="cluster gone in mid-run"),
        pytest.param(unknown_job(), [submitted(), started()], RunStatus.UNKNOWN, id="another cluster by now"),
        pytest.param(unreachable(), [submitted(), started(), finished()], RunStatus.SUCCEEDED, id="gone since"),
    ],
)
def test_one_look(tmp_path: Path, answer: JobInfo | Exception, events: list[Event], expected: RunStatus) -> None:
    log(tmp_path / RUN, *events)

    seen, verdict = look(Gatherer(RUN, paths=RunPaths(tmp_path / RUN), jobs=FakeCluster([answer])))

    assert isinstance(verdict, Verdict)
    assert verdict.status is expected
    assert seen == events


def test_a_look_at_the_log_of_many_ranks_costs_little_more_than_reading_it(tmp_path: Path) -> None:
    paths = RunPaths.of(tmp_path, RUN)
    seconds = [0.5 + rank / 7000 for rank in range(1000)]
    writer = EventWriter(paths.events)
    for number in range(100):
        writer.append(replace(epoch(number), rank_seconds=seconds, rank_rows_per_s=seconds, rank_wait_s=seconds))
    writer.append(finished())
    writer.close()
    began = time.process_time()
    read_events(paths.events)
    read_s = time.process_time() - began
    events, verdict = look(Gatherer(RUN, paths=paths))
    assert time.process_time() - began - read_s < 2 * read_s + 0.05
    assert (len(events), verdict.final) == (101, True)


def test_a_later_attempt_on_another_cluster_gives_no_event_twice(tmp_path: Path) -> None:
    log(tmp_path / RUN, submitted(), started(), epoch(0))
    time = Time()
    old, new = FakeCluster([job(RunStatus.FAILED)]), FakeCluster([job(RunStatus.PENDING)])
    gatherer = Gatherer(RUN, paths=RunPaths(tmp_path / RUN), jobs=old, clock=time.clock)
    first = list(watch(gatherer, sleep=time.sleep))
    asked_before = len(old.asked)

    gatherer.take_up(2, new)
    time.at(time.now + 3, lambda: log(tmp_path / RUN, started(attempt=2), finished(attempt=2)))
    second = list(watch(gatherer, sleep=time.sleep))

    assert [item for item in first if isinstance(item, Event)] == [submitted(), started(), epoch(0)]
    assert [item for item in second if isinstance(item, Event)] == [started(attempt=2), finished(attempt=2)]
    assert [item.status for item in second if isinstance(item, StatusChange)] == ["PENDING", "SUCCEEDED"]
    assert (len(old.asked), new.asked[0]) == (asked_before, f"{RUN}-a2")


def test_the_last_status_of_a_stream_that_ends_in_silence_is_unknown(tmp_path: Path) -> None:
    items: list[Event | StatusChange | Idle] = []
    time = Time()
    cluster = FakeCluster([job(RunStatus.RUNNING), unreachable()])
    gatherer = Gatherer(RUN, paths=RunPaths(tmp_path / RUN), jobs=cluster, clock=time.clock)

    with pytest.raises(StateUnknown):
        items.extend(watch(gatherer, sleep=time.sleep, patience_s=20))

    last = items[-1]
    assert isinstance(last, StatusChange)
    assert (last.status, last.final) == (RunStatus.UNKNOWN, True)
