"""Workers of the first group that start while the driver still reads the rows, so that one does not wait for the other.

Runs in: the driver. Imported only where `raytrain.ray_internals` finds what `raytrain.driver.train_controller`, which
hands them to Ray Train, leans on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError
from ray.train.v2._internal.execution.worker_group.worker import Worker
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
from ray.train.v2._internal.util import bundle_to_remote_args
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raytrain.worker import process_setup


class WorkersAhead:
    """Workers that have been asked for, and import TensorFlow as soon as they run.

    Args:
        kind: the class of their actors.
        needs: what each takes, in Ray's names.
        environment: variables of their processes.
    """

    def __init__(self, kind: type, workers: int, needs: Mapping[str, float], environment: Mapping[str, str]) -> None:
        self._needs, self._workers = dict(needs), workers
        self.placement: PlacementGroup = placement_group([self._needs] * workers, strategy="PACK")
        runtime_env = WorkerGroup._get_worker_runtime_env({"env_vars": dict(environment)})
        actor = ray.remote(runtime_env=runtime_env, **bundle_to_remote_args(self._needs))(kind)
        self._actors = [
            actor.options(scheduling_strategy=PlacementGroupSchedulingStrategy(self.placement, index)).remote()
            for index in range(workers)
        ]
        for one in self._actors:
            one.execute.remote(process_setup.import_ahead)

    def fit(self, workers: int, needs: Mapping[str, float]) -> bool:
        """Whether they are what a group needs."""
        return workers == self._workers and dict(needs) == self._needs

    def give_back(self) -> None:
        """Ends them, and frees their place."""
        remove_placement_group(self.placement)

    def taken(self) -> list[Any]:
        """As Ray Train's own, once they run.

        Raises:
            WorkerGroupStartupFailedError: one of them has died.
        """
        try:
            known = ray.get([actor.get_metadata.remote() for actor in self._actors])
        except RayActorError as error:
            for actor in self._actors:
                ray.kill(actor)
            raise WorkerGroupStartupFailedError(f"a worker died before its group began: {error}") from error
        workers = [
            Worker(actor, about, self._needs, placement_group_bundle_index=index)
            for index, (actor, about) in enumerate(zip(self._actors, known, strict=True))
        ]
        return list(WorkerGroup._assign_worker_ranks(workers))
