"""Entrypoint of the trackers' process: `python -m raytrain.driver.trackers DIRECTORY`.

Runs in: a process beside the driver, which ends it by closing its standard input; or a terminal, of a run that has
ended, to tell its trackers what they missed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from raytrain.driver.trackers.follower import Follower
from raytrain.driver.trackers.tracker import TrackedRun
from raytrain.driver.trackers.tracker import Tracker as OpenTracker
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest
from raytrain.spec.tracking import Tracker

_NICE = 5  # to the workers on this machine


def main() -> int:
    root, uri = (*sys.argv[1:], "")[:2]
    paths = RunPaths(Path(root), uri or None)
    request = JobRequest.model_validate_json(paths.request.read_text())
    if not sys.stdin.isatty():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which Ray sends to all processes of a job that is stopped
        os.nice(_NICE)
    say, ending = _words_apart(paths.trackers_log(request.attempt)), threading.Event()
    with ThreadPoolExecutor(max(1, len(request.spec.tracking)), thread_name_prefix="raytrain-tracker") as pool:
        told = [
            pool.submit(_follower(tracker, request, paths, say, ending).follow) for tracker in request.spec.tracking
        ]
        if not sys.stdin.isatty():
            sys.stdin.read()  # until the driver closes it, or has died
        ending.set()
    return 0 if all(each.result() for each in told) else 1


def _words_apart(log: Path) -> Callable[[str], None]:
    """Sends what the trackers' packages print into a file, and returns the way to what was the standard output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = os.dup(1)
    with log.open("ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(words, f"warning: {text}\n".encode())

    return say


def _follower(
    tracker: Tracker, request: JobRequest, paths: RunPaths, say: Callable[[str], None], ending: threading.Event
) -> Follower:
    run = TrackedRun(run=request.run, spec=request.spec, paths=paths)
    return Follower(tracker.kind, run, lambda run: _open(tracker, run), say=say, ending=ending)


def _open(tracker: Tracker, run: TrackedRun) -> OpenTracker:
    if tracker.mlflow is not None:
        from raytrain.driver.trackers.mlflow_tracker import MlflowTracker

        return MlflowTracker(run, tracker.mlflow)
    if tracker.wandb is not None:
        from raytrain.driver.trackers.wandb_tracker import WandbTracker

        return WandbTracker(run, tracker.wandb)
    from raytrain.driver.trackers.tensorboard_tracker import TensorBoardTracker

    return TensorBoardTracker(run)


if __name__ == "__main__":
    sys.exit(main())
