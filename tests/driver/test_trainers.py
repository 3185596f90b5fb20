"""What a group that failed leaves behind, on real Ray."""

from __future__ import annotations

import time

import pytest
import ray
from ray.util import placement_group, placement_group_table

from raytrain.driver.trainers import free_placement_groups

pytestmark = pytest.mark.usefixtures("ray_cluster")


def states() -> list[str]:
    """Of what is reserved; other tests have left what was."""
    return [group["state"] for group in placement_group_table().values() if group["state"] != "REMOVED"]


class Reserving:
    """An actor of the job that reserves a place, as one that the driver has started may."""

    def reserve(self) -> None:
        self._held = placement_group([{"CPU": 1}])
        ray.get(self._held.ready(), timeout=60)


def test_what_is_reserved_in_the_jobs_name_is_given_back() -> None:
    held = [placement_group([{"CPU": 2}])]
    ray.get(held[0].ready(), timeout=60)
    reserving = ray.remote(num_cpus=0)(Reserving).remote()
    ray.get(reserving.reserve.remote(), timeout=60)
    held.append(placement_group([{"CPU": 2}]))
    assert sorted(states()) == ["CREATED", "CREATED", "PENDING"]

    free_placement_groups()

    deadline = time.monotonic() + 20
    while states() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert states() == []
    ray.get(placement_group([{"CPU": 4}]).ready(), timeout=20)
    free_placement_groups()


def test_what_another_job_has_reserved_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held = placement_group([{"CPU": 1}])
    ray.get(held.ready(), timeout=60)
    before = states()
    with monkeypatch.context() as patch:
        patch.setattr("ray.runtime_context.RuntimeContext.get_job_id", lambda self: "ff000000")
        free_placement_groups()
    assert states() == before
    free_placement_groups()
