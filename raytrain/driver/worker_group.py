"""Runs one group of Ray Train workers over the job, from placement to the end of their train function.

Runs in: the driver.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.train import (
    ControllerError,
    FailureConfig,
    PreemptionError,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
    WorkerGroupError,
)

from raytrain.driver.keras_backend import KerasConfig
from raytrain.driver.trainers import Trainers
from raytrain.spec.job import ScalingSpec
from raytrain.spec.placement import needs_of
from raytrain.spec.request import JobRequest
from raytrain.worker.process_setup import thread_environment
from raytrain.worker.train_loop import LoopConfig, train_loop


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """How a worker group ended.

    Attributes:
        lost_ranks: those whose process died.
        preempted: a process died with its node, whose end Ray had announced.
        queue_timed_out: the cluster had no room for the workers in time.
        failure: what Ray Train raised.
    """

    lost_ranks: tuple[int, ...] = ()
    preempted: bool = False
    queue_timed_out: bool = False
    failure: Exception | None = None

    @property
    def account(self) -> str:
        return "" if self.failure is None else str(self.failure)


def run_group(request: JobRequest, config: LoopConfig, trainers: Trainers) -> GroupResult:
    """Trains with one worker group; returns when all workers have ended or one has failed.

    Args:
        request: the job, whose `scaling.workers` is this group's size.
        config: what every worker is handed.
        trainers: make the one that this group needs.
    """
    scaling = request.spec.scaling
    prefix = f"raytrain-train-{request.run}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):  # by drivers of this run that were killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as scratch:
        trainer = trainers.make(
            train_loop,
            train_loop_config={"config": config},
            backend_config=KerasConfig(mailbox=config.mailbox, group=config.group),
            scaling_config=_scaling(scaling),
            run_config=RunConfig(
                name=_name(request, config.group),
                storage_path=scratch,
                failure_config=FailureConfig(max_failures=0, max_preemption_failures=0, controller_failure_limit=0),
                worker_runtime_env={"env_vars": worker_environment(scaling)},
            ),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            causes = {rank: _cause(error) for rank, error in error.worker_failures.items()}
            lost = sorted(rank for rank, cause in causes.items() if isinstance(cause, ray.exceptions.RayError))
            taken = any(getattr(cause, "preempted", False) for cause in causes.values())
            return GroupResult(lost_ranks=tuple(lost), preempted=taken, failure=error)
        except (TrainingFailedError, ray.exceptions.RayError) as error:
            cause = error.controller_failure if isinstance(error, ControllerError) else error
            return GroupResult(
                preempted=isinstance(error, PreemptionError),
                queue_timed_out=type(cause).__name__ == "WorkerGroupStartupTimeoutError",
                failure=error,
            )
        finally:
            trainers.release()
    return GroupResult()


def _name(request: JobRequest, group: int) -> str:
    """Of the Train run on the dashboard, which no other group of the run may have."""
    attempt = f"-a{request.attempt}" if request.attempt > 1 else ""
    return f"{request.run}{attempt}" + (f"-group-{group}" if group else "")


def _scaling(scaling: ScalingSpec) -> ScalingConfig:
    return ScalingConfig(
        num_workers=scaling.workers, use_gpu=scaling.gpus_per_worker > 0, resources_per_worker=needs_of(scaling)
    )


def worker_environment(scaling: ScalingSpec) -> dict[str, str]:
    """Variables of a worker's process."""
    return {
        **thread_environment(scaling.cpus_per_worker),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",  # a vocabulary made of a set must be in one order on all workers and in all attempts
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # Ray's own print writes each line twice, and forgets `end`
    }


def _cause(error: Exception) -> Exception:
    """What a worker's failure is in truth: the loss of its process or node, or an exception in it."""
    return getattr(error, "health_check_failure", error)
