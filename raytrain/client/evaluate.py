"""Holds a finished run's model against rows, on a cluster."""

from __future__ import annotations

import os
from datetime import datetime

from raytrain.client.registry import RunRecord
from raytrain.client.run_task import Progress, TaskRun, connect_for, send_task, wait_for_task
from raytrain.client.task_source import Given, check_columns, check_there, task_source
from raytrain.errors import Problem, UsageError
from raytrain.run.run_id import task_moment
from raytrain.run.task_result import Evaluation
from raytrain.spec.job import JobSpec
from raytrain.spec.task_requests import EvaluateRequest, Split


def evaluate(
    record: RunRecord,
    *,
    data: Given | None = None,
    split: Split = "test",
    by: str | None = None,
    workers: int | None = None,
    cpus_per_worker: float | None = None,
    gpus_per_worker: float | None = None,
    batch_size: int | None = None,
    address: str | None = None,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluates on a cluster, and waits for the end; arguments as of `raytrain.Run.evaluate`.

    Raises:
        UsageError, SpecError, NotFound, ClusterError, RunFailed, RunStopped, WaitTimedOut: as that says.
    """
    tell = progress or (lambda _: None)
    run = TaskRun.of(record)
    spec = run.submitted.spec
    source = None if data is None else task_source(data, spec, field="--data")
    if source is None:
        _check_split(spec, split)
    else:
        check_columns(source, spec, field="--data", labels=True)
    connection, warnings = connect_for(run, address, os.environ, progress)
    if source is not None and connection.shares_this_machine:
        check_there(source, field="--data")
    request = EvaluateRequest(
        run=record.run,
        moment=task_moment(datetime.now()),
        storage=run.submitted.storage,
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        batch_size=batch_size,
        split=split,
        data=source,
        by=by,
    )
    for warning in warnings:
        tell(f"warning: {warning}")
    send_task(run, request, connection, tell)
    done = wait_for_task(run, request, connection.api, tell, timeout_s=timeout_s)
    assert isinstance(done, Evaluation)
    return done


def _check_split(spec: JobSpec, split: Split) -> None:
    if split not in ("train", "validation", "test"):
        raise UsageError(Problem(field="--split", got=split, expected="train, validation or test"))
    if split == "train" or getattr(spec.data, split) is not None:
        return
    there = [name for name in ("validation", "train") if name == "train" or getattr(spec.data, name) is not None]
    fix = f"--data names rows of another source; --split {there[0]} takes those of this run"
    raise UsageError(Problem(field="--split", got=f"a run without {split} rows", expected=f"data.{split}", fix=fix))
