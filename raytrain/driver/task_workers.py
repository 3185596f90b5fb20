"""How many processes share the rows of an evaluation or a prediction, and what each takes from the cluster.

Runs in: the driver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from raytrain.data.tiers.capacity import measure
from raytrain.errors import Problem, SpecError
from raytrain.spec.job import ScalingSpec
from raytrain.spec.task_requests import TaskRequest


@dataclass(frozen=True, kw_only=True)
class TaskWorkers:
    """Processes that share the rows, each with its CPUs and GPUs."""

    workers: int
    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        return max(1, int(self.cpus))


def task_workers(request: TaskRequest, scaling: ScalingSpec) -> TaskWorkers:
    """As asked for, else as the run had them, as far as the cluster has room beside one CPU to read with.

    Raises:
        SpecError: more were asked for than there is room for.
    """
    cpus = scaling.cpus_per_worker if request.cpus_per_worker is None else request.cpus_per_worker
    gpus = scaling.gpus_per_worker if request.gpus_per_worker is None else request.gpus_per_worker
    return fit_workers(request.workers, default=scaling.workers, cpus=cpus, gpus=gpus, cluster_cpus=measure(1).cpus)


def fit_workers(asked: int | None, *, default: int, cpus: float, gpus: float, cluster_cpus: float) -> TaskWorkers:
    """The decision of `task_workers`, of numbers alone."""
    left = cluster_cpus - 1
    room = math.floor(left / cpus + 1e-9)
    if asked is not None and asked > room and room > 0:
        raise SpecError(
            Problem(
                field="--workers",
                got=f"{asked} workers that take {asked * cpus:g} of the cluster's {cluster_cpus:g} CPUs",
                expected="one CPU left to read the rows with",
                fix=f"--workers {room}, or fewer --cpus-per-worker",
            )
        )
    if room < 1:
        return TaskWorkers(workers=1, cpus=max(0.0, min(cpus, left)), gpus=gpus)
    return TaskWorkers(workers=min(asked or default, room), cpus=cpus, gpus=gpus)
