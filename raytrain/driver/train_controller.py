"""Ray Train's controller and trainer, without the helper processes that a run of ours has no use for.

Runs in: the driver, which starts the controller's process before it is needed.

A process costs more than a second of a core to start, and Ray Train starts five beside the workers for each group:
three are left out here, and the controller and the barrier stand ready before a group needs them. Imported only where
`raytrain.ray_internals` finds what this leans on.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.constants import get_env_vars_to_propagate
from ray.train.v2._internal.execution.checkpoint.sync_actor import SynchronizationActor
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raytrain.driver.cluster_nodes import own_node
from raytrain.driver.trainers import Trainers

# A run's rows come from `raytrain.data.tiers.worker_shards`, and `free_placement_groups` does the cleaner's work.
_UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)
# The controller's waiting is Ray Train's own; Ray would warn of it.
_ENVIRONMENT = {"RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0"}


class Controller(TrainController):  # type: ignore[misc]
    """Ray Train's controller in a process that may stand ready long before there is a group to control."""

    def __init__(self, run: str) -> None:
        """Starts what the group's barrier is; what the parent's does is left to `begin`."""
        self._run, self._barrier = run, _Barrier()

    def __repr__(self) -> str:
        """How the dashboard's Actors page calls it."""
        return f"controller of {self._run}"

    async def begin(self, arguments: dict[str, Any]) -> Any:
        """Runs a worker group to its end; returns Ray Train's result."""
        worker_group.SynchronizationActor = self._barrier
        worker_group.WorkerGroup._worker_cls = _named(worker_group.WorkerGroup._worker_cls, f"worker of {self._run}")
        super().__init__(**arguments)
        await self.run()
        return self.get_result()


def _named(kind: type, name: str) -> type:
    """The actor class, under a name by which the dashboard's Actors page can tell whose it is."""
    return type(kind.__name__, (kind,), {"__repr__": lambda _: name})


class _Barrier:
    """Stands for the class of Ray Train's barrier actor, and gives the one that runs already."""

    def __init__(self) -> None:
        self._actor = SynchronizationActor.options(scheduling_strategy=_here()).remote()

    def options(self, **_: Any) -> _Barrier:
        return self

    def remote(self, **_: Any) -> Any:
        """The handle; its times are Ray Train's defaults, whatever is asked for: no barrier of ours waits there."""
        return self._actor


class ReadyTrainers(Trainers):
    """Trainers whose controllers run already: the first from the making on, and another once that is called for."""

    def __init__(self, run: str, *, queue_timeout_s: float | None) -> None:
        super().__init__(queue_timeout_s=queue_timeout_s)
        self._run = run
        self._ready: Any = _start_controller(run)
        self._taken: Any = None

    def make(self, *args: Any, **kwargs: Any) -> DataParallelTrainer:
        self._taken, self._ready = self._ready or _start_controller(self._run), None
        try:
            ray.get(self._taken.__ray_ready__.remote())
        except ray.exceptions.RayActorError:  # it died while it stood by
            self._taken = _start_controller(self._run)
        return _Trainer(*args, controller=self._taken, **kwargs)

    def prepare(self) -> None:
        self._ready = self._ready or _start_controller(self._run)

    def release(self) -> None:
        self._taken.__ray_terminate__.remote()  # what was raised may hold its handle, and with it what it started
        super().release()


def _start_controller(run: str) -> Any:
    """A controller in a process of its own on this node; returns at once."""
    environment = {"env_vars": _ENVIRONMENT | get_env_vars_to_propagate()}
    return ray.remote(num_cpus=0, scheduling_strategy=_here(), runtime_env=environment)(Controller).remote(run)


def _here() -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(own_node(), soft=False)


class _Trainer(DataParallelTrainer):  # type: ignore[misc]
    """A trainer whose controller runs in a process that is there already; it serves one group."""

    def __init__(self, *args: Any, controller: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._controller = controller

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, _UNUSED)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        return ray.get(self._controller.begin.remote(arguments))
