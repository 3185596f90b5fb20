"""How many processes share a task's rows."""

from __future__ import annotations

import pytest

from raytrain.driver.task_workers import fit_workers
from raytrain.errors import SpecError


@pytest.mark.parametrize(
    ("asked", "default", "cpus", "cluster", "workers", "each"),
    [
        (None, 2, 1.0, 4.0, 2, 1.0),
        (None, 8, 1.0, 4.0, 3, 1.0),  # one is left to read with
        (3, 1, 1.0, 4.0, 3, 1.0),
        (None, 4, 2.0, 8.0, 3, 2.0),
        (4, 1, 0.5, 3.0, 4, 0.5),
        (None, 2, 1.0, 1.0, 1, 0.0),  # the only one is to read with
        (2, 2, 4.0, 4.0, 1, 3.0),
    ],
)
def test_one_cpu_is_left_to_read_with(
    asked: int | None, default: int, cpus: float, cluster: float, workers: int, each: float
) -> None:
    found = fit_workers(asked, default=default, cpus=cpus, gpus=0, cluster_cpus=cluster)
    assert (found.workers, found.cpus) == (workers, each)


def test_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(SpecError, match=r"4 workers that take 4 of the cluster's 4 CPUs.*--workers 3"):
        fit_workers(4, default=1, cpus=1.0, gpus=0, cluster_cpus=4.0)
