"""Sends a task of a finished run to a cluster, and waits for what it comes to.

The job's folder travels as the run's directory keeps it, so that the model's classes and the job's own steps are those
that it was trained with.
"""

from __future__ import annotations

import io
import os
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.client.cluster_runs import jobs_of
from raytrain.client.kept_requests import submitted_request
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import pull
from raytrain.client.submit import upload_package
from raytrain.client.upload.base_model import saved_model
from raytrain.client.upload.package import Package, pack_files, pack_raytrain
from raytrain.cluster.connect import Connection, connect
from raytrain.cluster.preflight import check_cluster
from raytrain.cluster.submission import TASK_OUTPUT, build_task_submission
from raytrain.errors import (
    Failure,
    NotFound,
    Problem,
    RaytrainError,
    RunFailed,
    RunStopped,
    SpecError,
    UsageError,
    WaitTimedOut,
)
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.run.task_result import (
    PROGRESS,
    RESULT_FILE,
    RESULT_MIRROR,
    Evaluation,
    Prediction,
    TaskResult,
    read_result,
)
from raytrain.spec.request import REQUEST_FILE, JobRequest
from raytrain.spec.task_requests import EvaluateRequest, PredictRequest

if TYPE_CHECKING:
    from raytrain.cluster.jobs_api import JobsApi

Progress = Callable[[str], None]

_LOOK_AGAIN_S = 0.5
_ENDS_WITHIN_S = 120.0
# What a refusal on the cluster is here, with its exit code.
_REFUSALS = {error.__name__: error for error in (UsageError, SpecError, NotFound)}


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """A finished run of which this machine sees what a task needs.

    Attributes:
        submitted: how the run was submitted.
    """

    record: RunRecord
    paths: RunPaths
    submitted: JobRequest

    @classmethod
    def of(cls, record: RunRecord, environ: Mapping[str, str] | None = None) -> TaskRun:
        """The run, whose model must be there.

        Raises:
            NotFound: it has saved none, or its directory is out of sight here.
        """
        saved_model(record)
        paths = RunPaths.of(record.storage, record.run)
        for file in (paths.spec, paths.package, paths.preprocessing):
            pull(paths, file)
        if not os.path.isfile(paths.package):
            got = f"no copy of the job of {record.run} at {paths.shown(paths.package)}"
            raise NotFound(Problem(got=got, expected="the job's folder as it was submitted"))
        return cls(record=record, paths=paths, submitted=submitted_request(record, environ))


def connect_for(
    run: TaskRun, address: str | None, environ: Mapping[str, str], progress: Progress | None
) -> tuple[Connection, tuple[str, ...]]:
    """The run's own cluster where that answers, else where any job would go; and what the user should know of it.

    Raises:
        ClusterError: it cannot be used.
    """
    own = run.record.address if jobs_of(run.record)[1] else None
    connection = connect(address or own, environ=environ, progress=progress)
    scaling = run.submitted.spec.scaling.model_copy(update={"workers": 1, "min_workers": None})
    warnings = check_cluster(connection.api, scaling, environ, is_local=connection.is_ours)
    return connection, warnings


def send_task(run: TaskRun, request: EvaluateRequest | PredictRequest, connection: Connection, tell: Progress) -> None:
    """Submits the task.

    Raises:
        UsageError: the same output is being written by another job of this cluster.
        ClusterError: the cluster does not take it.
    """
    if isinstance(request, PredictRequest):
        _refuse_twins(request, connection.api)
    ourselves, folder = pack_raytrain(), _pack_again(run.paths.package, request)
    submission = build_task_submission(
        request,
        run.submitted.spec,
        working_dir_uri=folder.uri,
        raytrain_uri=ourselves.uri,
        bin_dir=str(Path(sys.executable).parent) if connection.shares_this_machine else None,
    )
    for package in (ourselves, folder):
        upload_package(connection.api, package)
    tell(f"submitting {submission.submission_id} to {connection.address.url}")
    connection.api.submit(submission)


def wait_for_task(
    run: TaskRun,
    request: EvaluateRequest | PredictRequest,
    api: JobsApi,
    tell: Progress,
    *,
    timeout_s: float | None = None,
) -> Evaluation | Prediction:
    """What the task comes to; interrupting it stops the task.

    Raises:
        UsageError, SpecError, NotFound: it was refused on the cluster.
        RunFailed: it failed there.
        RunStopped: somebody stopped its job.
        WaitTimedOut: the time has passed; the task goes on.
        ClusterError: the cluster does not answer.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    said = 0
    try:
        while not (job := api.job(request.submission_id)).status.is_terminal:
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimedOut(message=f"{request.submission_id} goes on after {timeout_s:g} seconds")
            said = _tell_new(api, request.submission_id, said, tell)
            time.sleep(_LOOK_AGAIN_S)
    except KeyboardInterrupt:
        _stop(request, api, tell)
        raise
    _tell_new(api, request.submission_id, said, tell)
    result = _result(run, request, api)
    if result is None:
        if job.status is RunStatus.STOPPED:
            raise RunStopped(message=f"{request.submission_id} was stopped")
        last = api.logs(request.submission_id).strip().splitlines()[-1:]
        raise RunFailed(message=f"{request.submission_id} ended without a result: {' '.join([job.message, *last])}")
    if isinstance(result, Failure):
        raise raised(result)
    return result


def _stop(request: EvaluateRequest | PredictRequest, api: JobsApi, tell: Progress) -> None:
    """Stops the task, and waits until its job has ended: the same command would be refused before."""
    tell(f"stopping {request.submission_id}")
    api.stop(request.submission_id)
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while not api.job(request.submission_id).status.is_terminal and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_S)
    if isinstance(request, PredictRequest):
        tell("the same command goes on with it")


def raised(failure: Failure) -> RaytrainError:
    """The error that a failure on the cluster is here, with its exit code."""
    if (refusal := _REFUSALS.get(failure.kind)) is not None:
        problem = Problem(
            got=failure.got or failure.message,
            expected=failure.expected or "",
            fix=failure.fix or "",
            field=failure.field or "",
        )
        return refusal(problem)
    place = f"{failure.place}: " if failure.place and failure.place not in failure.message else ""
    return RunFailed(message=f"{place}{failure.message}")


def _result(run: TaskRun, request: EvaluateRequest | PredictRequest, api: JobsApi) -> TaskResult | None:
    """From the run's directory, else from the cluster's own logs; None where the task wrote none."""
    file = run.paths.task(request.task, request.moment) / RESULT_FILE
    pull(run.paths, file)
    try:
        return read_result(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        node = api.job(request.submission_id).driver_node_id
        name = RESULT_MIRROR.format(submission_id=request.submission_id)
        content = api.log_file(node, name) if node else None
        return read_result(content.decode()) if content else None


def _tell_new(api: JobsApi, submission_id: str, said: int, tell: Progress) -> int:
    """Tells what the driver has said since; how many lines its log has now."""
    lines = api.logs(submission_id).split("\n")[:-1]
    for line in lines[said:]:
        if line.startswith(PROGRESS):
            tell(line.removeprefix(PROGRESS))
    return max(said, len(lines))


def _refuse_twins(request: PredictRequest, api: JobsApi) -> None:
    for job in api.jobs():
        if job.metadata.get(TASK_OUTPUT) == request.output and not job.status.is_terminal:
            got = f"{request.output}, which {job.submission_id} is writing"
            raise UsageError(Problem(field="--output", got=got, expected="an output of its own", fix="wait for it"))


def _pack_again(package: Path, request: EvaluateRequest | PredictRequest) -> Package:
    """The job's folder as it was uploaded, with this request in the place of that one."""
    members: list[tuple[str, bytes]] = []
    with zipfile.ZipFile(io.BytesIO(package.read_bytes())) as archive:
        for name in archive.namelist():
            if name != REQUEST_FILE and not name.endswith("/"):
                members.append((name, archive.read(name)))
    return pack_files([*members, (REQUEST_FILE, request.model_dump_json(indent=2).encode())])
