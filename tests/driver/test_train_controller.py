"""Groups of workers that the driver's own process controls, on real Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.train
import ray.train.collective
from ray.runtime_context import RuntimeContext
from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, WorkerGroupError

from raytrain.driver.mailbox import start_mailbox
from raytrain.driver.train_controller import DriverTrainers

NEVER_AGAIN = FailureConfig(max_failures=0, controller_failure_limit=0)

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def mailbox() -> Iterator[Any]:
    started = start_mailbox("a-1")
    yield started
    ray.kill(started)


@pytest.fixture
def trainers(mailbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverTrainers]:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")  # to be put back as it was
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    made = DriverTrainers("a-1", mailbox, queue_timeout_s=None)
    yield made
    made.release()


def fit(trainers: DriverTrainers, loop: Any, storage: Path) -> Any:
    """The result of two workers that run `loop` with the path of `storage`."""
    trainer = trainers.make(
        loop,
        train_loop_config={"folder": str(storage)},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name="a-1", storage_path=str(storage), failure_config=NEVER_AGAIN),
    )
    return trainer.fit()


def meet(config: dict[str, str]) -> None:
    rank = ray.train.get_context().get_world_rank()
    ray.train.collective.barrier()
    heard = ray.train.collective.broadcast_from_rank_zero(f"{os.getpid()}")
    ray.train.report({"rank": rank})
    Path(config["folder"], f"rank-{rank}").write_text(f"{os.getpid()} {heard} {os.environ.get('SAID')}")


def say_who(config: dict[str, str]) -> None:
    rank = ray.train.get_context().get_world_rank()
    Path(config["folder"], f"rank-{rank}").write_text(f"{os.getpid()}")


def fail(config: dict[str, str]) -> None:
    raise ValueError("no such luck")


def said(storage: Path) -> list[list[str]]:
    return [(storage / f"rank-{rank}").read_text().split() for rank in (0, 1)]


def test_a_group_that_has_begun_and_another_after_it(trainers: DriverTrainers, tmp_path: Path) -> None:
    """Reports and collectives of Ray Train work for who calls them, and this process becomes no actor."""
    trainers.start_ahead(2, {"CPU": 1.0}, {"SAID": "ahead"})
    ahead = [ray.get(actor.execute.remote(os.getpid)) for actor in trainers._ahead[0]._actors]
    fit(trainers, meet, tmp_path)
    first = said(tmp_path)
    assert sorted(int(pid) for pid, _, _ in first) == sorted(ahead)
    assert [rest for _, *rest in first] == [[first[0][0], "ahead"]] * 2
    trainers.release()
    fit(trainers, say_who, tmp_path)
    assert len({*ahead, *(int(pid) for [pid] in said(tmp_path)), os.getpid()}) == 5
    with pytest.raises(RuntimeError, match="only available in an actor"):
        _ = RuntimeContext.current_actor.fget(ray.get_runtime_context())


@pytest.mark.thorough
def test_a_worker_that_fails_fails_the_group(trainers: DriverTrainers, tmp_path: Path) -> None:
    with pytest.raises(WorkerGroupError, match="no such luck"):
        fit(trainers, fail, tmp_path)


@pytest.mark.thorough
def test_workers_that_were_started_ahead_for_another_size_are_left_out(
    trainers: DriverTrainers, tmp_path: Path
) -> None:
    trainers.start_ahead(1, {"CPU": 3.0}, {})  # of the cluster's four, so that the group would wait for them
    fit(trainers, say_who, tmp_path)
    assert (tmp_path / "rank-1").exists()


@pytest.mark.thorough
def test_one_that_was_started_ahead_and_died_fails_the_start(trainers: DriverTrainers, tmp_path: Path) -> None:
    trainers.start_ahead(2, {"CPU": 1.0}, {})
    os.kill(ray.get(trainers._ahead[0]._actors[1].execute.remote(os.getpid)), signal.SIGKILL)
    with pytest.raises(ControllerError, match="died before its group began"):
        fit(trainers, say_who, tmp_path)
