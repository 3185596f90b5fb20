"""Controllers that stand ready, and what one that died leaves behind, on real Ray."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.util import placement_group, placement_group_table

from raytrain.driver import train_controller
from raytrain.driver.train_controller import Controllers, free_placement_groups

pytestmark = pytest.mark.usefixtures("cluster")


def states() -> list[str]:
    return [group["state"] for group in placement_group_table().values()]


def test_what_is_reserved_in_the_jobs_name_is_given_back() -> None:
    held = [placement_group([{"CPU": 2}]) for _ in range(3)]
    ray.get([group.ready() for group in held[:2]], timeout=60)
    assert sorted(states()) == ["CREATED", "CREATED", "PENDING"]

    free_placement_groups()

    deadline = time.monotonic() + 20
    while set(states()) != {"REMOVED"} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(states()) == {"REMOVED"}
    ray.get(placement_group([{"CPU": 4}]).ready(), timeout=20)
    free_placement_groups()


@pytest.fixture
def controllers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Controllers]:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")  # to be put back as it was
    monkeypatch.setattr(train_controller, "_SPARE_AFTER_S", 0.1)
    made = Controllers(queue_timeout_s=None)
    yield made
    made.close()


def spare(controllers: Controllers) -> Any:
    deadline = time.monotonic() + 20
    while controllers._ready is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert controllers._ready is not None
    return controllers._ready


def test_each_group_has_a_controller_of_its_own_and_the_next_stands_ready(controllers: Controllers) -> None:
    first = controllers.take()
    ready = spare(controllers)
    second = controllers.take()
    assert second is ready
    assert ray.get(second.__ray_call__.remote(_pid), timeout=60) != ray.get(first.__ray_call__.remote(_pid), timeout=60)


def test_one_that_died_while_it_stood_by_is_replaced(controllers: Controllers) -> None:
    controllers.take()
    ready = spare(controllers)
    os.kill(ray.get(ready.__ray_call__.remote(_pid), timeout=60), signal.SIGKILL)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(ready.__ray_ready__.remote(), timeout=60)
    taken = controllers.take()
    assert taken is not ready
    assert ray.get(taken.__ray_call__.remote(_pid), timeout=60)


def _pid(actor: object) -> int:
    return os.getpid()
