"""Ray Train's controller and trainer, without the helper processes that a run of ours has no use for.

Runs in: the driver, which starts the controller's process before it is needed.

A process costs more than a second of a core to start, and Ray Train starts five beside the workers for each group:
three are left out here, and the controller and the barrier stand ready before a group needs them.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import ray
from ray._common.constants import RAY_WARN_BLOCKING_GET_INSIDE_ASYNC_ENV_VAR as WARN_OF_BLOCKING
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import get_env_vars_to_propagate
from ray.train.v2._internal.execution.checkpoint.sync_actor import SynchronizationActor
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import PlacementGroup, remove_placement_group

# Ray Train gives the placement up after a minute and tries again without end; how long a job queues is for its spec.
_PLACEMENT_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
_WITHOUT_LIMIT_S = 30 * 24 * 3600.0
_SPARE_AFTER_S = 20.0
# A run's rows come from `raytrain.data.tiers.worker_shards`, and `free_placement_groups` does the cleaner's work.
_UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)


class Controller(TrainController):  # type: ignore[misc]
    """Ray Train's controller in a process that may stand ready long before there is a group to control."""

    def __init__(self) -> None:
        """Starts what the group's barrier is; what the parent's does is left to `begin`."""
        self._barrier = _Barrier()

    async def begin(self, arguments: dict[str, Any]) -> Any:
        """Runs a worker group to its end; returns Ray Train's result."""
        worker_group.SynchronizationActor = self._barrier
        super().__init__(**arguments)
        await self.run()
        return self.get_result()


class _Barrier:
    """Stands for the class of Ray Train's barrier actor, and gives the one that runs already."""

    def __init__(self) -> None:
        self._actor = SynchronizationActor.options(label_selector=_here()).remote()

    def options(self, **_: Any) -> _Barrier:
        return self

    def remote(self, **_: Any) -> Any:
        """The handle; its times are Ray Train's defaults, whatever is asked for: no barrier of ours waits there."""
        return self._actor


class Controllers:
    """Controllers, each for one group, of which the next always stands ready or is about to.

    Args:
        queue_timeout_s: how long a group may wait for its place; None for as long as it takes.
    """

    def __init__(self, *, queue_timeout_s: float | None) -> None:
        os.environ[_PLACEMENT_TIMEOUT] = str(queue_timeout_s or _WITHOUT_LIMIT_S)
        self._ready: Any = _start_controller()
        self._filling = self._fill_later()

    def take(self) -> Any:
        """The handle of a controller; another is started once the machine is not busy with this one's group."""
        self.close()
        taken, self._ready = self._ready or _start_controller(), None
        try:
            ray.get(taken.__ray_ready__.remote())
        except ray.exceptions.RayActorError:  # it died while it stood by
            taken = _start_controller()
        self._filling = self._fill_later()
        return taken

    def close(self) -> None:
        """Starts no other."""
        self._filling.cancel()
        self._filling.join()

    def _fill_later(self) -> threading.Timer:
        filling = threading.Timer(_SPARE_AFTER_S, self._fill)
        filling.daemon = True
        filling.start()
        return filling

    def _fill(self) -> None:
        self._ready = self._ready or _start_controller()


def _start_controller() -> Any:
    """A controller in a process of its own on this node; returns at once."""
    environment = {"env_vars": {WARN_OF_BLOCKING: "0"} | get_env_vars_to_propagate()}
    return ray.remote(num_cpus=0, label_selector=_here(), runtime_env=environment)(Controller).remote()


def _here() -> dict[str, str]:
    """Selects this node."""
    return {ray._raylet.RAY_NODE_ID_KEY: ray.get_runtime_context().get_node_id()}


class Trainer(DataParallelTrainer):  # type: ignore[misc]
    """A trainer whose controller runs in a process that is there already.

    Args:
        controller: of `Controllers`; it serves one group.
    """

    def __init__(self, *args: Any, controller: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._controller = controller

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, _UNUSED)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        return ray.get(self._controller.begin.remote(arguments))


def free_placement_groups() -> None:
    """Gives back what a group that failed left reserved in this job's name; the next group would wait for it.

    Ray Train does so where the group had begun, Ray itself only when the whole job has ended.
    """
    job = ray.get_runtime_context().get_job_id()
    for serialized in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(serialized)
        if group.creator_job_id.hex() == job and group.state != PlacementGroupTableData.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
