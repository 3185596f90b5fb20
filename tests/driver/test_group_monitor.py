"""What the monitor does about what it sees, one look at a time; the cluster is a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from raytrain.driver import elastic, group_monitor
from raytrain.driver.group_monitor import GroupMonitor
from raytrain.driver.mailbox import WorkerProcess
from raytrain.driver.rank_progress import RankProgress, RankState
from raytrain.protocol import Heartbeat
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest
from raytrain.spec.tier_choice import Tier

WORKERS = [WorkerProcess(rank=rank, node_id=f"node-{rank}", address=f"10.0.0.{rank}", pid=rank + 7) for rank in (0, 1)]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Method:
    """Stands for an actor's method: `.remote(…)` is the answer itself."""

    def __init__(self, answer: Any) -> None:
        self.remote = answer


class Case:
    """A monitor of two workers, the cluster around it, and what it told and asked."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, tier: Tier = "shared", **scaling: Any
    ) -> None:
        self.clock, self.events, self.asked, self.killed = Clock(), list[Any](), list[str](), list[Any]()
        self.placed: list[WorkerProcess] = []
        self.going: dict[str, int] = {}
        self.free: list[dict[str, float]] = []
        self.groups: dict[str, Any] = {}
        job = {"name": "case", "model": "model.py:build", "data": {"train": {"csv": "a.csv"}, "features": "x"}}
        spec = JobSpec.model_validate(job | {"scaling": {"workers": 2} | scaling, "watchdog": {"step": "60s"}})
        request = JobRequest(run="case-1", attempt=1, submitted_at=0.0, storage=str(tmp_path), spec=spec)
        monkeypatch.setattr("raytrain.driver.group_monitor.time.monotonic", self.clock)
        monkeypatch.setattr("raytrain.driver.group_monitor.ray.get", lambda answer: answer)
        monkeypatch.setattr("raytrain.driver.group_monitor.ray.util.placement_group_table", lambda: self.groups)
        monkeypatch.setattr(group_monitor, "draining_nodes", lambda: self.going)
        monkeypatch.setattr(group_monitor, "own_node", lambda: "node-of-the-driver")
        monkeypatch.setattr(group_monitor, "free_resources", lambda: self.free)
        monkeypatch.setattr(group_monitor, "save_stacks", lambda workers, path: None)
        monkeypatch.setattr(group_monitor, "kill", self.killed.extend)
        self.progress = RankProgress(2, clock=self.clock)
        mailbox: Any = type("Box", (), {"placed": Method(lambda: self.placed), "ask": Method(self.asked.append)})
        recorder = cast(Any, self)
        self.monitor = GroupMonitor(
            request,
            RunPaths(tmp_path),
            mailbox,
            recorder,
            self.progress,
            wanted=spec.scaling,
            tier=tier,
            group=0,
        )

    def record(self, event: events.Event) -> None:
        self.events.append(event)

    def ranks(self, states: list[RankState]) -> None:
        self.exported = states

    def beat(self) -> None:
        for rank in (0, 1):
            self.progress.note(
                Heartbeat(rank=rank, time=0.0, phase="train", epoch=0, step=int(self.clock.now), stalled_s=0.0)
            )

    def look(self, after_s: float = 1.0) -> None:
        self.clock.now += after_s
        self.monitor._look()


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    return Case(monkeypatch, tmp_path)


def test_workers_that_run_are_told_once(case: Case) -> None:
    case.look()
    case.placed = WORKERS
    case.look()
    case.look()
    places = [events.RankPlace(node="10.0.0.0", pid=7), events.RankPlace(node="10.0.0.1", pid=8)]
    assert case.events == [events.Placed(ranks=places)]


def test_workers_without_a_place_are_queued_and_slow_ones_are_not(case: Case) -> None:
    case.groups = {"other": {"bundles": {0: {"CPU": 1.0}}, "state": "PENDING"}}
    case.look(30.0)
    assert case.events == []
    case.groups["ours"] = {"bundles": {0: {"CPU": 1.0}, 1: {"CPU": 1.0}}, "state": "CREATED"}
    case.look()
    assert case.events == []
    case.groups["ours"]["state"] = "PENDING"
    case.look()
    case.look()
    assert case.events == [events.Queued(needs="2 CPU")]


def test_a_hang_ends_the_workers_though_the_storage_takes_no_stacks(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(workers: list[WorkerProcess], path: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(group_monitor, "save_stacks", full)
    case.placed = WORKERS
    case.look()
    case.beat()
    case.look(61.0)
    assert case.killed == WORKERS
    assert isinstance(case.events[-1], events.Hung)


def test_a_hang_is_told_and_ends_the_workers(case: Case) -> None:
    case.placed = WORKERS
    case.look()
    case.beat()
    case.look(59.0)
    assert case.monitor.hang is None
    case.look(2.0)
    assert case.monitor.hang is not None
    [_, hung] = case.events
    assert isinstance(hung, events.Hung)
    assert (hung.limit_s, Path(hung.stacks or "").name) == (60.0, "stacks-0.txt")
    assert case.killed == WORKERS


def test_a_node_that_goes_stops_the_workers_once(case: Case) -> None:
    case.placed = WORKERS
    case.going = {"another": 0}
    case.look()
    case.beat()
    case.look(6.0)
    assert case.asked == []
    case.going = {"node-1": 99}
    for _ in range(2):
        case.beat()
        case.look(6.0)
    assert (case.asked, case.monitor.preempted) == (["stop"], True)
    assert "10.0.0.1 is going away" in case.events[-1].message


def test_where_the_drivers_own_node_goes_nobody_goes_on_elsewhere(case: Case) -> None:
    """The run stops: see `raytrain.driver.stop_signal`."""
    case.placed, case.going = WORKERS, {"node-of-the-driver": 99, "node-1": 99}
    for _ in range(3):
        case.beat()
        case.look(6.0)
    assert (case.asked, case.monitor.preempted) == ([], False)


def test_room_that_lasts_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = Case(monkeypatch, tmp_path, min_workers=1)
    case.monitor._wanted = case.monitor._wanted.model_copy(update={"workers": 3})
    case.placed, case.free = WORKERS, [{"CPU": 1.0}]
    case.look()
    while case.clock.now < 1000 + elastic.GROW_EVERY_S:
        assert case.asked == []
        case.beat()
        case.look(6.0)
    case.beat()
    case.look(6.0)
    assert set(case.asked) == {"resize"}


def test_the_last_free_cpu_is_left_to_those_who_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = Case(monkeypatch, tmp_path, tier="streaming", min_workers=1)
    case.monitor._wanted = case.monitor._wanted.model_copy(update={"workers": 3})
    case.placed, case.free = WORKERS, [{"CPU": 1.0}]
    case.look()
    for _ in range(15):
        case.beat()
        case.look(6.0)
    assert case.asked == []
    case.free = [{"CPU": 2.0}]
    for _ in range(elastic.GROW_LOOKS):
        case.beat()
        case.look(6.0)
    assert case.asked == ["resize"]
