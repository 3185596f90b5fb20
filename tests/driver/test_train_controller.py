"""Controllers that stand ready, on real Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.train import ScalingConfig

from raytrain.driver.train_controller import ReadyTrainers

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadyTrainers]:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")  # to be put back as it was
    made = ReadyTrainers("a-1", queue_timeout_s=None)
    yield made
    made.release()


def taken(trainers: ReadyTrainers) -> Any:
    """The controller of the next group's trainer."""
    return trainers.make(lambda: None, scaling_config=ScalingConfig(num_workers=1))._controller


def test_each_group_has_a_controller_of_its_own_and_the_next_stands_ready(trainers: ReadyTrainers) -> None:
    first = taken(trainers)
    trainers.prepare()
    ready = trainers._ready
    second = taken(trainers)
    assert second is ready
    assert ray.get(second.__ray_call__.remote(_pid), timeout=60) != ray.get(first.__ray_call__.remote(_pid), timeout=60)


def test_calling_twice_for_another_starts_one(trainers: ReadyTrainers) -> None:
    taken(trainers)
    assert trainers._ready is None  # until it is called for
    trainers.prepare()
    ready = trainers._ready
    trainers.prepare()
    assert trainers._ready is ready is not None


def test_one_that_died_while_it_stood_by_is_replaced(trainers: ReadyTrainers) -> None:
    taken(trainers)
    trainers.prepare()
    ready = trainers._ready
    os.kill(ray.get(ready.__ray_call__.remote(_pid), timeout=60), signal.SIGKILL)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(ready.__ray_ready__.remote(), timeout=60)
    another = taken(trainers)
    assert another is not ready
    assert ray.get(another.__ray_call__.remote(_pid), timeout=60)


def test_a_group_that_none_was_readied_for_waits_for_its_own(trainers: ReadyTrainers) -> None:
    first = taken(trainers)
    second = taken(trainers)
    assert second is not first
    assert ray.get(second.__ray_call__.remote(_pid), timeout=60)


def _pid(actor: object) -> int:
    return os.getpid()
