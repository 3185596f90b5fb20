"""Does something with a finished run: opens what it left, runs the task, keeps its result in a folder of its own.

Runs in: the driver. The run's event log, its status and its lease are left alone: a task is no attempt.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from raytrain.driver.finished_run import FinishedRun, open_run
from raytrain.errors import Failure, Problem, RaytrainError, UserCodeError
from raytrain.files import write_whole
from raytrain.run.copy_output import copy_output
from raytrain.run.job_log import say
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.run.task_result import PROGRESS, RESULT_FILE, RESULT_MIRROR, TaskResult, result_text
from raytrain.spec.task_requests import EvaluateRequest, PredictRequest
from raytrain.user_code import describe_failure

Task = EvaluateRequest | PredictRequest


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
        failure = failure_of(error, request, folder)
        say(f"{PROGRESS}failed: {failure.message}")
        return failure
    assert not isinstance(done, Failure)
    return replace(done, directory=paths.shown(results), seconds=round(monotonic() - began, 3))


def failure_of(error: BaseException, request: Task, folder: Path) -> Failure:
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
