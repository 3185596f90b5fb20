"""Lets a finished run's model answer rows, on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.client.registry import RunRecord
from raytrain.client.run_task import Progress, TaskRun, connect_for, send_task, wait_for_task
from raytrain.client.task_source import Given, check_columns, check_there, task_source
from raytrain.errors import Problem, UsageError
from raytrain.file_systems import is_uri
from raytrain.run.run_id import task_moment
from raytrain.run.task_result import Prediction
from raytrain.spec.task_requests import OutputFormat, PredictRequest

if TYPE_CHECKING:
    from raytrain.cluster.connect import Connection


def predict(
    record: RunRecord,
    *,
    input: Given,
    output: str | os.PathLike[str],
    format: OutputFormat | None = None,
    columns: Sequence[str] | None = None,
    workers: int | None = None,
    cpus_per_worker: float | None = None,
    gpus_per_worker: float | None = None,
    batch_size: int | None = None,
    skip_errors: bool = False,
    overwrite: bool = False,
    address: str | None = None,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Predicts on a cluster, and waits for the end; arguments as of `raytrain.Run.predict`.

    Raises:
        UsageError, SpecError, NotFound, ClusterError, RunFailed, RunStopped, WaitTimedOut: as that says.
    """
    tell = progress or (lambda _: None)
    run = TaskRun.of(record)
    spec = run.submitted.spec
    source = task_source(input, spec, field="--input")
    check_columns(source, spec, field="--input", labels=False)
    name = os.fspath(output)
    if not name.strip("/"):
        raise UsageError(Problem(field="--output", got=repr(name), expected="a file or a folder"))
    name = name if is_uri(name) else os.path.normpath(Path.cwd() / Path(name).expanduser())
    connection, warnings = connect_for(run, address, os.environ, progress)
    if connection.shares_this_machine:
        check_there(source, field="--input")
    if not overwrite:
        _check_free(name, connection)
    request = PredictRequest(
        run=record.run,
        moment=task_moment(datetime.now()),
        storage=run.submitted.storage,
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        batch_size=batch_size,
        input=source,
        output=name,
        format=format,
        columns=None if columns is None else list(columns),
        skip_errors=skip_errors,
        overwrite=overwrite,
    )
    for warning in warnings:
        tell(f"warning: {warning}")
    send_task(run, request, connection, tell)
    done = wait_for_task(run, request, connection.api, tell, timeout_s=timeout_s)
    assert isinstance(done, Prediction)
    return done


def _check_free(output: str, connection: Connection) -> None:
    """What is there is refused before anything is sent, where the cluster's files are this machine's."""
    if not connection.shares_this_machine or is_uri(output) or not os.path.exists(output):
        return
    if os.path.isdir(output) and not os.listdir(output):  # noqa: PTH208
        return
    fix = "--overwrite replaces an earlier prediction"
    raise UsageError(Problem(field="--output", got=f"{output}, which is there", expected="a new name", fix=fix))
