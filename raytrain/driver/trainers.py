"""Makes the trainer of each worker group and gives back what a group leaves behind; all by what Ray has made public.

Runs in: the driver. What `raytrain.driver.train_controller` makes begins sooner, and needs what is not public.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import ray
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util import placement_group_table
from ray.util.placement_group import PlacementGroup, remove_placement_group

# Ray Train gives the placement up after a minute and tries again without end; how long a job queues is for its spec.
_PLACEMENT_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
_WITHOUT_LIMIT_S = 30 * 24 * 3600.0


class Trainers:
    """Trainers, each for one group, that start a controller and its helpers when they are to fit.

    Args:
        queue_timeout_s: how long a group may wait for its place; None for as long as it takes.
    """

    def __init__(self, *, queue_timeout_s: float | None) -> None:
        os.environ[_PLACEMENT_TIMEOUT] = str(queue_timeout_s or _WITHOUT_LIMIT_S)

    def start_ahead(self, workers: int, needs: Mapping[str, float], environment: Mapping[str, str]) -> None:
        """Starts the workers of the next group, if that can be done before the group is.

        Args:
            needs: what each takes, in Ray's names.
            environment: variables of their processes.
        """

    def make(self, *args: Any, **kwargs: Any) -> DataParallelTrainer:
        """The next group's trainer, of what Ray Train's takes."""
        return DataParallelTrainer(*args, **kwargs)

    def release(self) -> None:
        """Ends what the last trainer has started."""
        free_placement_groups()


def free_placement_groups() -> None:
    """Gives back what a group that failed left reserved in this job's name; the next group would wait for it.

    Ray Train does so where the group had begun, Ray itself only when the whole job has ended. A placement group's id
    ends with that of its job.
    """
    job = ray.get_runtime_context().get_job_id()
    for name, group in placement_group_table().items():
        if name.endswith(job) and group["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(name))))
