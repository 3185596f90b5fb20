"""Ray Train's controller in the driver's own process, without the helper processes that a run has no use for.

Runs in: the driver.

A process costs more than a second of a core to start, and Ray Train starts five beside the workers for each group. The
driver has imported what the controller needs and waits for it anyway; the others are left out, or started when the
user's code calls for them. Imported only where `raytrain.ray_internals` finds what this leans on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.runtime_context import RuntimeContext
from ray.train.v2._internal.callbacks import state_manager
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import state as worker_group_state
from ray.train.v2._internal.execution.worker_group import worker_group
from ray.train.v2._internal.execution.worker_group.placement_group_handle import DefaultPlacementGroupHandle
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raytrain.driver.lazy_barrier import LazyBarrier
from raytrain.driver.trainers import Trainers
from raytrain.driver.workers_ahead import WorkersAhead

# A run's rows come from `raytrain.data.tiers.worker_shards`, and `free_placement_groups` does the cleaner's work.
_UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)


class DriverTrainers(Trainers):
    """Trainers whose controllers run in this process.

    Args:
        run: the run's id, by which the dashboard's Actors page can tell whose a worker is.
        mailbox: the run's, which stands for the controller where Ray Train wants an actor that lives as long as it.
    """

    def __init__(self, run: str, mailbox: Any, *, queue_timeout_s: float | None) -> None:
        super().__init__(queue_timeout_s=queue_timeout_s)
        self._ahead: list[WorkersAhead] = []
        self._group = _group_class(run, mailbox, self._ahead)
        worker_group.SynchronizationActor = _BarrierClass(run)
        worker_group_state._shutdown_sync_actor = lambda sync_actor: None  # it ends with the workers
        state_manager.TrainStateManager = _state_manager_class(mailbox)

    def start_ahead(self, workers: int, needs: Mapping[str, float], environment: Mapping[str, str]) -> None:
        self._ahead.append(WorkersAhead(self._group._worker_cls, workers, needs, environment))

    def make(self, *args: Any, **kwargs: Any) -> DataParallelTrainer:
        return _Trainer(*args, group=self._group, **kwargs)


class _Trainer(DataParallelTrainer):  # type: ignore[misc]
    def __init__(self, *args: Any, group: type, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, _UNUSED)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        # What it has to say is in its result; the driver's output is the job's log, a line an epoch.
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about Ray
            controller = TrainController(**arguments)
            controller.worker_group_cls = self._group
            asyncio.run(controller.run())
        return controller.get_result()


def _group_class(run: str, mailbox: Any, begun: list[WorkersAhead]) -> Any:
    """Ray Train's worker group: its workers have a name, or have begun, and the mailbox stands for its controller."""

    def represented(self: Any) -> str:
        return f"worker of {run}"

    kind = worker_group.WorkerGroup._worker_cls

    class Group(worker_group.WorkerGroup):  # type: ignore[misc]
        _worker_cls = type(kind.__name__, (kind,), {"__repr__": represented})
        _ahead: WorkersAhead | None = None

        def _create_placement_group(self, scaling_config: Any, worker_group_context: Any) -> Any:
            ahead = begun.pop() if begun else None
            if ahead is not None and ahead.fit(
                worker_group_context.num_workers, worker_group_context.resources_per_worker
            ):
                self._ahead = ahead
                return DefaultPlacementGroupHandle(ahead.placement)
            if ahead is not None:
                ahead.give_back()
            return super()._create_placement_group(scaling_config, worker_group_context)

        def _create_workers(self, *args: Any, **kwargs: Any) -> Any:
            return super()._create_workers(*args, **kwargs) if self._ahead is None else self._ahead.taken()

        def _init_train_context_on_workers(self, *args: Any) -> None:
            with _as_current_actor(mailbox):
                super()._init_train_context_on_workers(*args)

    return Group


@contextmanager
def _as_current_actor(actor: Any) -> Iterator[None]:
    """Where Ray asks which actor this process is, and it is none."""
    usual = RuntimeContext.current_actor
    RuntimeContext.current_actor = property(lambda self: actor)
    try:
        yield
    finally:
        RuntimeContext.current_actor = usual


class _BarrierClass:
    """Stands for the class of Ray Train's barrier actor, and starts none."""

    def __init__(self, run: str) -> None:
        self._names = (f"barrier of {run}, group {number}" for number in itertools.count())

    def options(self, **_: Any) -> _BarrierClass:
        return self

    def remote(self, **_: Any) -> LazyBarrier:
        return LazyBarrier(next(self._names))


def _state_manager_class(mailbox: Any) -> type:
    """What tells Ray's dashboard of the run, which it takes for gone when the controller's actor has."""
    actor = mailbox._actor_id.hex()

    class StateManager(state_manager.TrainStateManager):  # type: ignore[misc]
        def create_train_run(self, id: str, name: str, job_id: str, controller_actor_id: str, **more: Any) -> None:
            super().create_train_run(id=id, name=name, job_id=job_id, controller_actor_id=actor, **more)

    return StateManager
