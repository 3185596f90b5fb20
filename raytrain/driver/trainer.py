"""Runs one group of Ray Train workers over the job, from placement to the end of their train function.

Runs in: the driver.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from raytrain.driver.backend import KerasConfig
from raytrain.spec.request import JobRequest
from raytrain.spec.schema import ScalingSpec
from raytrain.worker.loop import LoopConfig, train_loop
from raytrain.worker.setup import thread_environment
from raytrain.worker.shards import Shards


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """How a worker group ended. `lost_ranks`: those whose process died; `failure`: what else Ray Train raised."""

    lost_ranks: tuple[int, ...] = ()
    failure: Exception | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


def run_group(request: JobRequest, shards: Shards, mailbox: Any, *, paths: Path, restart: int) -> GroupResult:
    """Trains with one worker group; returns when all workers have ended or one has failed.

    Args:
        shards: where the workers get their rows from.
        paths: the run's directory.
        restart: how many groups of this attempt came before.
    """
    scaling = request.spec.scaling
    config = LoopConfig(
        request=request.model_dump_json(),
        run_directory=str(paths),
        folder=str(Path.cwd()),
        shards=shards,
        mailbox=mailbox,
        group=restart,
    )
    with tempfile.TemporaryDirectory(prefix="raytrain-train-") as scratch:
        trainer = DataParallelTrainer(
            train_loop,
            train_loop_config={"config": config},
            backend_config=KerasConfig(),
            scaling_config=_scaling(scaling),
            run_config=RunConfig(
                name=request.run if restart == 0 else f"{request.run}-restart-{restart}",
                storage_path=scratch,
                failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),
                worker_runtime_env={"env_vars": _worker_environment(scaling)},
            ),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            lost = [rank for rank, cause in error.worker_failures.items() if _is_death(cause)]
            return GroupResult(lost_ranks=tuple(sorted(lost)), failure=error)
        except (TrainingFailedError, ray.exceptions.RayError) as error:
            return GroupResult(failure=error)
    return GroupResult()


def _scaling(scaling: ScalingSpec) -> ScalingConfig:
    resources = {"CPU": scaling.cpus_per_worker, **scaling.resources_per_worker}
    if scaling.gpus_per_worker:
        resources["GPU"] = scaling.gpus_per_worker
    return ScalingConfig(
        num_workers=scaling.workers, use_gpu=scaling.gpus_per_worker > 0, resources_per_worker=resources
    )


def _worker_environment(scaling: ScalingSpec) -> dict[str, str]:
    return {
        **thread_environment(scaling.cpus_per_worker),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
        "MPLBACKEND": "Agg",
    }


def _is_death(error: Exception) -> bool:
    """Whether a worker's failure is the loss of its process or node rather than an exception in it."""
    return isinstance(getattr(error, "health_check_failure", error), ray.exceptions.RayError)
