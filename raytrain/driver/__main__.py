"""Entrypoint of the Ray job: `python -m raytrain.driver` in the job's working directory.

Runs in: the driver. Its output is the job's log on the dashboard: one line an epoch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from raytrain.driver.trackers.trackers_process import TrackersProcess
from raytrain.files import write_whole
from raytrain.run.copy_output import copy_output
from raytrain.run.job_log import say
from raytrain.run.lease import Lease, LeaseKeeper, LeaseTaken, claim
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.spec.request import REQUEST_FILE, JobRequest
from raytrain.spec.task_requests import parse_request
from raytrain.worker.checkpoints.object_storage import mirrored

if TYPE_CHECKING:
    from raytrain.driver.recorder import Recorder

_ENVIRONMENT = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",  # to the console, which is the job's log
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A process that is gone is noticed without; one that is silent is left to the watchdog, whose limits the user sets.
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": str(24 * 3600),
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # `raytrain.driver.group_monitor` and `stop` watch the nodes
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


_PROBE_BYTES = 1 << 16  # a disk that is full takes an empty file


def main() -> int:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    folder = Path.cwd()
    request = parse_request((folder / REQUEST_FILE).read_text())
    if not isinstance(request, JobRequest):
        from raytrain.driver.run_tasks import run_task

        return run_task(request, folder)
    try:
        paths, lease, refusal = _claim_directory(request)
    except LeaseTaken as taken:
        say(f"{taken}: this one writes nothing and ends")
        return 1
    with (
        LeaseKeeper(paths, lease, _end_at_once),  # released once all is in the store
        mirrored(paths, notice=lambda text: say(f"warning: {text}")),
        copy_output(paths.driver_log(request.attempt)),
    ):
        return 0 if _run(request, paths, folder, refusal) is RunStatus.SUCCEEDED else 1


def _claim_directory(request: JobRequest) -> tuple[RunPaths, Lease, OSError | None]:
    """The run's directory, or another where the storage refuses, with what it says."""
    paths = RunPaths.to_write(request.storage, request.run)
    refusal = open_directory(paths)
    if refusal is None:
        try:
            lease = claim(paths, request.attempt)
            _fetch(request, paths)
            return paths, lease, None
        except OSError as error:
            refusal = error
    elsewhere = RunPaths.of(tempfile.mkdtemp(prefix="raytrain-"), request.run)
    return elsewhere, claim(elsewhere, request.attempt), refusal


def _end_at_once(attempt: int) -> None:
    """The run goes on as a later attempt: what this one still writes would be wrong."""
    say(f"attempt {attempt} has taken the run over; this one ends")
    os._exit(1)


def keep_job(paths: RunPaths, folder: Path) -> None:
    """Keeps what a later attempt needs: how the run was submitted, and the job's folder as it came here."""
    write_whole(paths.request, (folder / REQUEST_FILE).read_text())
    aside = paths.package.with_name(f".{paths.package.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(folder).as_posix())
    aside.replace(paths.package)


def open_directory(paths: RunPaths) -> OSError | None:
    """Makes the run's directory and proves that it can be written; the error that says why not.

    So can what an earlier attempt left in it, which may have been someone else's.
    """
    try:
        for folder in (paths.leases, paths.logs, paths.root):
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".probe"
            probe.write_bytes(bytes(_PROBE_BYTES))
            if paths.uri is not None and folder == paths.root:
                ObjectStore(paths.uri).push(probe, probe.name)
                ObjectStore(paths.uri).remove_object(probe.name)
            probe.unlink()
        if paths.events.exists():
            paths.events.open("a+b").close()
    except OSError as error:
        return error
    return None


def _fetch(request: JobRequest, paths: RunPaths) -> None:
    """Brings what this attempt goes on with from the store, now that no earlier one writes there any more."""
    if paths.uri is not None:
        trackers = [paths.tracker(tracker.kind) for tracker in request.spec.tracking]
        for file in (paths.events, paths.metrics, paths.status, *trackers):
            ObjectStore(paths.uri).pull(file.relative_to(paths.root).as_posix(), file)


def _run(request: JobRequest, paths: RunPaths, folder: Path, refusal: OSError | None) -> RunStatus:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    from raytrain.driver.cluster_nodes import session_logs
    from raytrain.driver.recorder import open_recorder

    logs = session_logs()
    mirror = logs / f"raytrain-{submission_id(request.run, request.attempt)}.jsonl" if logs else None
    with (
        TrackersProcess(request, paths) as trackers,  # ended after the recorder, whose event log it reads
        contextlib.closing(open_recorder(request, paths, mirror=mirror)) as recorder,
    ):
        return _run_recorded(request, paths, recorder, trackers, folder, refusal)


def _run_recorded(
    request: JobRequest,
    paths: RunPaths,
    recorder: Recorder,
    trackers: TrackersProcess,
    folder: Path,
    refusal: OSError | None,
) -> RunStatus:
    from raytrain.driver.train_task import run_job, storage_refused
    from raytrain.run import events

    submitted = events.Submitted(
        name=request.spec.name,
        workers=request.spec.scaling.workers,
        global_batch_size=request.spec.fit.global_batch_size,
        epochs=request.spec.fit.epochs,
        storage=paths.shown(),
        submitted_at=request.submitted_at,
        dashboard_url=request.dashboard_url,
        extended_from=request.extended_from.run if request.extended_from else "",
        initialised_from=request.initialised_from or "",
        overfit_batches=request.spec.fit.overfit_batches or 0,
    )
    recorder.record(submitted)
    try:
        write_whole(paths.spec, request.spec.model_dump_json(indent=1))
        keep_job(paths, folder)
    except OSError as error:
        refusal = refusal or error
    if refusal is not None:
        return storage_refused(request, recorder, refusal)
    trackers.begin()
    recorder.phase("driver")
    return run_job(request, paths, recorder, folder)


if __name__ == "__main__":
    sys.exit(main())
