"""Does something with a finished run: opens what it left, runs the task, keeps its result in a folder of its own.

Runs in: the driver. The run's event log, its status and its lease are left alone: a task is no attempt.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from raytrain.data.pipeline import Pipeline
from raytrain.errors import Failure, NotFound, Problem, RaytrainError, UserCodeError
from raytrain.files import write_whole
from raytrain.run.copy_output import copy_output
from raytrain.run.job_log import say
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.run.task_result import PROGRESS, RESULT_FILE, RESULT_MIRROR, TaskResult, result_text
from raytrain.spec.job import JobSpec
from raytrain.spec.task_requests import EvaluateRequest, PredictRequest
from raytrain.user_code import describe_failure

Task = EvaluateRequest | PredictRequest


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a task works with.

    Attributes:
        folder: the job's files, on every node.
        results: where the task's files are kept.
    """

    paths: RunPaths
    spec: JobSpec
    pipeline: Pipeline
    folder: Path
    results: Path


def run_task(request: Task, folder: Path) -> int:
    """Runs the task to its end; the process's exit code."""
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # whose import has set it to talk
    paths = RunPaths.of(request.storage, request.run)
    results = paths.task(request.task, request.moment)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a full disk loses the log, and the result goes to the cluster's own
            results.mkdir(parents=True, exist_ok=True)
            stack.enter_context(copy_output(results / "driver.log"))
        result = _result(request, paths, folder, results)
        _keep(result, request, paths, results)
    return 1 if isinstance(result, Failure) else 0


def _result(request: Task, paths: RunPaths, folder: Path, results: Path) -> TaskResult:
    began = monotonic()
    try:
        run = open_run(paths, folder, results)
        task: Callable[[Any, FinishedRun], TaskResult]
        if isinstance(request, PredictRequest):
            from raytrain.driver.predict_task import predict as task
        else:
            from raytrain.driver.evaluate_task import evaluate as task
        done = task(request, run)
    except BaseException as error:  # noqa: BLE001  the boundary: what the job's code or the data raises
        failure = _failure(error, request, folder)
        say(f"{PROGRESS}failed: {failure.message}")
        return failure
    assert not isinstance(done, Failure)
    return replace(done, directory=paths.shown(results), seconds=round(monotonic() - began, 3))


def open_run(paths: RunPaths, folder: Path, results: Path) -> FinishedRun:
    """What the run left, brought here from its store.

    Raises:
        NotFound: it has no model, or its preprocessing is not kept.
    """
    fetch(paths, paths.model, paths.spec, paths.preprocessing, paths.package)
    if not paths.model.is_file():
        got = f"run {paths.run}, which has no model at {paths.shown(paths.model)}"
        if paths.weights.is_file():
            got = f"run {paths.run}, of which Keras could save the weights alone, {paths.shown(paths.weights)}"
        fix = f"raytrain status {paths.run} tells how it ended"
        raise NotFound(Problem(got=got, expected="a run that has saved its model", fix=fix))
    spec = JobSpec.model_validate_json(paths.spec.read_text())
    if spec.data.train.arrays is not None:
        fix = "raytrain.get(RUN).model() is the model, whose own evaluate and predict take arrays"
        raise NotFound(Problem(got=f"{paths.run}, a run of arrays", expected="a run whose data has columns", fix=fix))
    return FinishedRun(paths=paths, spec=spec, pipeline=_pipeline(paths, spec, folder), folder=folder, results=results)


def fetch(paths: RunPaths, *files: Path) -> None:
    """Brings files of a run in an object store here; of any other they are where they are."""
    for file in files if paths.uri is not None else ():
        ObjectStore(str(paths.uri)).pull(file.relative_to(paths.root).as_posix(), file)


def _pipeline(paths: RunPaths, spec: JobSpec, folder: Path) -> Pipeline:
    try:
        learned = json.loads(paths.preprocessing.read_text())
    except (OSError, ValueError) as error:
        if not spec.data.preprocess:
            return Pipeline(spec, folder)
        got = f"{paths.shown(paths.preprocessing)}, which cannot be read: {error}"
        raise NotFound(Problem(got=got, expected="what the run's preprocessing has learned")) from error
    return Pipeline.from_json(learned, spec, folder)


def _failure(error: BaseException, request: Task, folder: Path) -> Failure:
    """The failure in the user's words, with the class that the client raises again."""
    ours = next((cause for cause in _causes(error) if isinstance(cause, RaytrainError) and cause.problems), None)
    full = next((cause for cause in _causes(error) if isinstance(cause, OSError)), None)
    if ours is None and full is not None:
        place = request.output if isinstance(request, PredictRequest) else request.storage
        again = "make room and run the same command again: it goes on where it stopped"
        problem = Problem(got=f"{place}: {full.strerror or full}", expected="storage that takes files", fix=again)
        ours = UserCodeError(problem)
    failure = describe_failure(ours or getattr(error, "cause", None) or error, folder)
    if ours is None:
        return failure
    problem = ours.problems[0]
    for inner in ("data.input", "data.rows"):
        if problem.field.startswith(inner):
            problem = replace(problem, field=("--input" if inner == "data.input" else "--data") + problem.field[10:])
    return replace(
        failure,
        kind=type(ours).__name__,
        message=str(problem),
        got=problem.got,
        expected=problem.expected,
        field=problem.field or None,
        fix=problem.fix or None,
        file=problem.file or failure.file,
        internal=False,
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and what stands behind it; Ray keeps a task's own error in `cause`."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and all(one is not other for other in found):
            found.append(one)
            waiting += [getattr(one, "cause", None), one.__cause__, one.__context__]
    return found


def _keep(result: TaskResult, request: Task, paths: RunPaths, results: Path) -> None:
    """In the run's directory, and beside the cluster's logs for a client that does not see it."""
    text = result_text(result)
    from raytrain.driver.cluster_nodes import session_logs

    if logs := session_logs():
        with contextlib.suppress(OSError):
            write_whole(logs / RESULT_MIRROR.format(submission_id=request.submission_id), text)
    try:
        write_whole(results / RESULT_FILE, text)
        for file in sorted(results.iterdir()) if paths.uri is not None else ():
            ObjectStore(str(paths.uri)).push(file, file.relative_to(paths.root).as_posix())
    except OSError as error:
        say(f"{PROGRESS}warning: {paths.shown(results)} cannot be written: {error}")
