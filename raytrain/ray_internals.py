"""The places of Ray that are not public and that raytrain leans on, each looked at by name and parameters before use.

Runs in: the driver, and what it starts. Imports Ray only when asked. Who uses such a place asks `is_there` first and
does without it otherwise, so that another release of Ray slows a run down and does not break it.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, kw_only=True)
class Use:
    """What needs private places of Ray.

    Attributes:
        places: each as `module:name`, or `module:name(parameters)` where what is there is called or overridden; `...`
            for parameters that are left to their defaults.
        without: what becomes of a run where one is not there.
    """

    places: tuple[str, ...]
    without: str


_TRAIN = "ray.train.v2._internal"
_ADDED = "_ray_trace_ctx"  # by Ray, to the methods of a class that it makes an actor of

CONTROLLER = Use(
    places=(
        f"{_TRAIN}.execution.controller:TrainController.run(self)",
        f"{_TRAIN}.execution.controller:TrainController.get_result(self)",
        f"{_TRAIN}.execution.controller:TrainController.worker_group_cls",
        f"{_TRAIN}.execution.checkpoint.sync_actor:SynchronizationActor.options(actor_options)",
        f"{_TRAIN}.execution.worker_group.worker_group:SynchronizationActor",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._worker_cls",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._init_train_context_on_workers"
        "(self, workers, sync_actor, train_context_args)",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._create_placement_group"
        "(self, scaling_config, worker_group_context)",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._create_workers(self, num_workers, ...)",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._get_worker_runtime_env(custom_runtime_env)",
        f"{_TRAIN}.execution.worker_group.worker_group:WorkerGroup._assign_worker_ranks(workers, ...)",
        f"{_TRAIN}.execution.worker_group.worker:Worker(actor, metadata, resources, ...)",
        f"{_TRAIN}.execution.worker_group.placement_group_handle:DefaultPlacementGroupHandle(pg)",
        f"{_TRAIN}.exceptions:WorkerGroupStartupFailedError",
        f"{_TRAIN}.util:bundle_to_remote_args(bundle)",
        f"{_TRAIN}.execution.worker_group.state:_shutdown_sync_actor(sync_actor)",
        f"{_TRAIN}.callbacks.state_manager:TrainStateManager.create_train_run(self, id, name, job_id,"
        " controller_actor_id, ...)",
        f"{_TRAIN}.callbacks.datasets:DatasetsCallback",
        f"{_TRAIN}.callbacks.placement_group_callback:PlacementGroupCleanerCallback",
        "ray.runtime_context:RuntimeContext.current_actor",
        "ray.train.v2.api.data_parallel_trainer:DataParallelTrainer._create_default_callbacks(self)",
        "ray.train.v2.api.data_parallel_trainer:DataParallelTrainer._initialize_and_run_controller"
        "(self, controller_init_kwargs)",
    ),
    without="every group of workers starts a controller and its helpers anew",
)
FAILURES = Use(
    places=(
        f"{_TRAIN}.exceptions:WorkerHealthCheckFailedError(message, failure)",
        f"{_TRAIN}.exceptions:WorkerGroupStartupTimeoutError",
    ),
    without="which worker was lost, and that workers found no room in time, may not be told",
)
FREE_RESOURCES = Use(
    places=("ray._private.state:available_resources_per_node()",),
    without="room for workers is reckoned as if all nodes were one",
)
DRAINING = Use(
    places=("ray._private.state:state.get_draining_nodes()",),
    without="a node that is taken away is noticed when it has gone",
)
SESSION_LOGS = Use(
    places=("ray._private.worker:_global_node", "ray._private.node:Node.get_logs_dir_path(self)"),
    without="only who sees the storage can follow the run",
)
SPILLING = Use(
    places=(
        "ray._private.internal_api:get_state_from_address(address)",
        "ray._private.internal_api:get_memory_info_reply(state, ...)",
        "ray.core.generated.node_manager_pb2:FormatGlobalMemoryInfoReply.STORE_STATS_FIELD_NUMBER",
        "ray.core.generated.node_manager_pb2:ObjectStoreStats.SPILLED_BYTES_TOTAL_FIELD_NUMBER",
    ),
    without="rows that are spilled to disk are not told of",
)
BLOCKS = Use(
    places=(
        "ray.data:Dataset.iter_internal_ref_bundles(self)",
        "ray.data._internal.execution.interfaces.ref_bundle:RefBundle(blocks, schema, owns_blocks, slices, ...)",
        "ray.data._internal.execution.interfaces.ref_bundle:BlockEntry(ref, metadata)",
        "ray.data._internal.execution.interfaces.ref_bundle:BlockSlice(start_offset, end_offset)",
    ),
    without="rows take a way about through the process that deals them",
)
GPU_USAGE = Use(
    places=(
        "ray._private.thirdparty.pynvml:nvmlInit()",
        "ray._private.thirdparty.pynvml:nvmlDeviceGetHandleByIndex(index)",
        "ray._private.thirdparty.pynvml:nvmlDeviceGetHandleByUUID(uuid)",
        "ray._private.thirdparty.pynvml:nvmlDeviceGetUtilizationRates(handle)",
        "ray._private.thirdparty.pynvml:nvmlDeviceGetMemoryInfo(handle, ...)",
        "ray._private.thirdparty.pynvml:NVMLError",
    ),
    without="how busy each worker's GPU is cannot be told",
)
USES = (CONTROLLER, FAILURES, FREE_RESOURCES, DRAINING, SESSION_LOGS, SPILLING, BLOCKS, GPU_USAGE)


def is_there(use: Use) -> bool:
    """Whether all that it takes is there."""
    return not missing(use)


def missing(use: Use) -> list[str]:
    """The places that are not there, or take other parameters."""
    return [place for place in use.places if not _holds(place)]


def notices() -> list[str]:
    """What a run must do without on this Ray, in one sentence; nothing as a rule."""
    lacking = [use for use in USES if not is_there(use)]
    if not lacking:
        return []
    import ray

    places = ", ".join(place for use in lacking for place in missing(use))
    so = "; ".join(use.without for use in lacking)
    return [f"Ray {ray.__version__} is not as raytrain knows it; the run goes on, but {so} (not found: {places})"]


def _holds(place: str) -> bool:
    path, is_called, parameters = place.removesuffix(")").partition("(")
    module, _, name = path.partition(":")
    try:
        found = attrgetter(name)(importlib.import_module(module))
        taken = ", ".join(filter(_ADDED.__ne__, inspect.signature(found).parameters)) if is_called else ""
    except (ImportError, AttributeError, TypeError, ValueError):  # the last two of what has no parameters
        return False
    return taken.startswith(parameters[:-3]) if parameters.endswith("...") else taken == parameters
