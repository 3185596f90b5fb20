"""One attempt at a run, told as its steps: open the run, read the data, train, restart what may be restarted, close.

Runs in: the driver.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from raytrain.driver import attempts
from raytrain.driver.collector import Collector
from raytrain.driver.curves import draw_curves
from raytrain.driver.mailbox import start_mailbox
from raytrain.driver.recorder import Recorder
from raytrain.errors import SpecError, UserCodeError
from raytrain.events import types
from raytrain.run import Reason, RunPaths, RunStatus
from raytrain.spec.request import JobRequest
from raytrain.worker.user_code import describe_failure

_STOP_GRACE_S = 20.0


def run_job(request: JobRequest, paths: RunPaths, recorder: Recorder) -> RunStatus:
    """Runs the attempt to its end and records it; returns the final status."""
    stopping = _Stopping()
    try:
        status, reason, error = _attempt(request, paths, recorder, stopping)
    except (SpecError, UserCodeError) as refused:
        where = describe_failure(refused, Path.cwd())
        status, error = RunStatus.FAILED, where
        reason = Reason.USER_CODE if where["file"] else Reason.SPEC_REFUSED
    except ray.exceptions.RayError as failed:
        status, reason, error = RunStatus.FAILED, Reason.INTERNAL, describe_failure(failed, Path.cwd())
    except Exception as failed:  # noqa: BLE001  the boundary: what the user's data code raises ends up here
        error = describe_failure(failed, Path.cwd())
        status, reason = RunStatus.FAILED, Reason.USER_CODE if error["file"] else Reason.INTERNAL
    stopping.end()
    _draw(recorder, paths)
    recorder.record(types.RunFinished, status=str(status), reason=str(reason), error=error)
    return status


def _draw(recorder: Recorder, paths: RunPaths) -> None:
    """Draws the curves; a picture that cannot be drawn is told of and fails no run."""
    rows = recorder.summary.epoch_rows()
    if not rows:
        return
    try:
        draw_curves(rows, paths.curves)
    except (OSError, ValueError, ImportError) as error:
        recorder.record(types.Warned, message=f"curves.png could not be drawn: {error}")


def storage_refused(request: JobRequest, recorder: Recorder, refusal: OSError) -> RunStatus:
    """Ends the run before it begins, because its directory cannot be written."""
    error = describe_failure(refusal, Path.cwd()) | {
        "kind": "StorageError",
        "field": "storage",
        "message": f"got {request.storage}: {refusal.strerror}, expected a directory that the cluster can write",
        "fix": "--set storage=… a directory that every node sees and can write",
        "traceback": None,
    }
    recorder.record(types.RunFinished, status=str(RunStatus.FAILED), reason=str(Reason.STORAGE), error=error)
    return RunStatus.FAILED


class _Stopping:
    """The polite stop: SIGTERM asks the workers to end after the epoch; past the grace period the driver ends alone."""

    def __init__(self) -> None:
        self.asked = False
        self._over = threading.Event()
        self._mailbox: Any = None
        self._finish: Any = None

    def listen(self, mailbox: Any, finish: Any) -> None:
        self._mailbox, self._finish = mailbox, finish
        signal.signal(signal.SIGTERM, self._on_signal)

    def end(self) -> None:
        """The run has come to its own end: a stop that was asked for late changes nothing any more."""
        self._over.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            return
        self.asked = True
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        self._mailbox.ask_to_stop.remote()
        if self._over.wait(_STOP_GRACE_S):
            return
        self._finish()
        os._exit(1)


def _attempt(
    request: JobRequest, paths: RunPaths, recorder: Recorder, stopping: _Stopping
) -> tuple[RunStatus, Reason, dict[str, Any] | None]:
    mailbox = start_mailbox()
    stopping.listen(mailbox, lambda: _record_stopped(recorder))
    train_import = threading.Thread(target=_import_trainer, daemon=True)
    train_import.start()
    from raytrain.driver.datasets import load_dataset

    dataset = load_dataset(request.spec, Path.cwd())
    recorder.phase("data")
    recorder.record(
        types.Sharded,
        splits={
            split: {
                "rows": plan.rows,
                "steps": plan.steps,
                "rows_per_worker": list(plan.rows_per_worker),
                "dropped": plan.dropped,
            }
            for split, plan in dataset.plans.items()
        },
    )
    train_import.join()
    from raytrain.driver.trainer import run_group

    restarts = 0
    while True:
        recorder.forget_partial_epochs()
        recorder.record(types.AttemptStarted, workers=request.spec.scaling.workers, restart=restarts)
        ray.get(mailbox.begin.remote(restarts))
        with Collector(mailbox, recorder) as collector, dataset.serve() as shards:
            result = run_group(request, shards, mailbox, paths=paths.root, restart=restarts)
        if collector.finished_ranks == request.spec.scaling.workers:
            return _verdict(Reason(collector.reason), recorder)
        if stopping.asked:
            return RunStatus.STOPPED, Reason.STOPPED_BY_USER, None
        ruling = attempts.rule(
            errors=collector.errors,
            lost_ranks=result.lost_ranks,
            failure=str(result.failure),
            restarts=restarts,
            max_restarts=request.spec.restarts.max,
        )
        if ruling.reason is Reason.WORKER_LOST:
            recorder.record(types.WorkerLost, message=ruling.error["message"], ranks=list(result.lost_ranks))
        recorder.record(types.AttemptFailed, error=ruling.error, retrying=ruling.restart)
        if not ruling.restart:
            return RunStatus.FAILED, ruling.reason, ruling.error
        restarts += 1


def _verdict(reason: Reason, recorder: Recorder) -> tuple[RunStatus, Reason, dict[str, Any] | None]:
    if reason is Reason.DIVERGED:
        rows = recorder.summary.epoch_rows()
        message = f"the loss was no number any more after epoch {rows[-1]['epoch'] + 1}"
        fix = "lower the learning rate, scale the inputs, or set clipnorm on the optimizer"
        error = {"kind": "Diverged", "message": message, "fix": fix, "rank": None, "file": None, "line": None}
        return RunStatus.FAILED, reason, error | {"field": None, "traceback": None}
    if reason is Reason.STOPPED_BY_USER:
        return RunStatus.STOPPED, reason, None
    return RunStatus.SUCCEEDED, reason, None


def _record_stopped(recorder: Recorder) -> None:
    recorder.record(types.RunFinished, status=str(RunStatus.STOPPED), reason=str(Reason.STOPPED_BY_USER))


def _import_trainer() -> None:
    """Imports what is needed later while the data is read."""
    import raytrain.driver.trainer  # noqa: F401
