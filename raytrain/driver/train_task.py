"""One attempt at a run, told as its steps: open the run, read the data, train, restart what may be restarted, close.

Runs in: the driver.
"""

from __future__ import annotations

import contextlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from raytrain import ray_internals
from raytrain.driver.curves import draw_curves
from raytrain.driver.extension import begin_extension
from raytrain.driver.mailbox import start_mailbox
from raytrain.driver.recorder import Recorder
from raytrain.driver.stop_signal import StopSignal
from raytrain.errors import Failure, SpecError, UserCodeError
from raytrain.files import write_whole
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason, RunStatus
from raytrain.spec.few_rows import spec_of_few
from raytrain.spec.job import ScalingSpec
from raytrain.spec.placement import needs_of
from raytrain.spec.request import JobRequest
from raytrain.spec.tracking import missing_packages
from raytrain.user_code import describe_failure

if TYPE_CHECKING:
    from raytrain.driver.trainers import Trainers
    from raytrain.driver.worker_groups import Outcome

_ELASTIC_PROMISE = (
    "the number of workers follows the cluster (scaling.min_workers): the answer is that of one worker up to rounding,"
    " but two such runs are not the same to the last bit"
)


def run_job(request: JobRequest, paths: RunPaths, recorder: Recorder, folder: Path) -> RunStatus:
    """Runs the attempt to its end and records it.

    Args:
        folder: the job's, in which the driver has started; the user's data code may leave it.

    Returns:
        The final status.
    """
    stop = StopSignal(paths, recorder)
    try:
        status, reason, error = _attempt(request, paths, recorder, stop, folder)
    except (SpecError, UserCodeError) as refused:
        error = describe_failure(refused, folder)
        status, reason = RunStatus.FAILED, Reason.USER_CODE if error.file else Reason.SPEC_REFUSED
    except ray.exceptions.RayError as failed:
        status, reason, error = RunStatus.FAILED, Reason.INTERNAL, describe_failure(failed, folder)
    except BaseException as failed:  # noqa: BLE001  the boundary: what the user's data code raises, SystemExit too
        error = describe_failure(failed, folder)
        status, reason = RunStatus.FAILED, Reason.USER_CODE if error.file else Reason.INTERNAL
    stop.end()
    _draw(recorder, paths)
    recorder.record(events.RunFinished(status=str(status), reason=str(reason), error=error))
    return status


def _draw(recorder: Recorder, paths: RunPaths) -> None:
    """Draws the curves; a picture that cannot be drawn is told of and fails no run."""
    rows = recorder.summary.epoch_rows()
    if not rows:
        return
    try:
        draw_curves(rows, paths.curves)
    except (OSError, ValueError, ImportError) as error:
        recorder.record(events.Warned(message=f"curves.png could not be drawn: {error}"))


def storage_refused(request: JobRequest, recorder: Recorder, refusal: OSError) -> RunStatus:
    """Ends the run before it begins, because its directory cannot be written."""
    why = refusal.strerror or str(refusal)
    error = Failure(
        kind="StorageError",
        field="storage",
        message=f"got {request.storage}: {why}, expected a directory that the cluster can write",
        fix="--set storage=… a directory that every node sees and can write",
    )
    recorder.record(events.RunFinished(status=str(RunStatus.FAILED), reason=str(Reason.STORAGE), error=error))
    return RunStatus.FAILED


def _attempt(request: JobRequest, paths: RunPaths, recorder: Recorder, stop: StopSignal, folder: Path) -> Outcome:
    if lacking := missing_packages(request.spec.tracking, pip=()):
        raise SpecError(*lacking)
    begin_extension(request, paths, recorder)
    mailbox = start_mailbox(request.run)
    stop.reach(mailbox)
    from raytrain.driver.starting_ahead import may_start_ahead

    prepared = ThreadPoolExecutor(1).submit(_prepare_trainers, request, mailbox)
    if may_start_ahead(request.spec, folder):
        _start_ahead(request.spec.scaling, prepared.result())
    from raytrain.data.dataset import load_dataset
    from raytrain.data.few_batches import few_batches

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # whose import has set it to talk
    if request.spec.scaling.min_workers is not None:
        recorder.record(events.Warned(message=_ELASTIC_PROMISE))
    with contextlib.chdir(folder):  # and back to it
        dataset = load_dataset(request.spec, folder)
    if request.fast_dev_run or request.spec.fit.overfit_batches is not None:
        request = request.model_copy(update={"spec": spec_of_few(request.spec)})
        dataset = few_batches(dataset, request.spec, one_of_each=request.fast_dev_run)
    recorder.phase("data")
    recorder.sharded(dataset.plans, dataset.tier.tier)
    try:
        write_whole(paths.preprocessing, json.dumps(dataset.pipeline.to_json()))
    except OSError as error:  # no reason not to train
        recorder.record(events.Warned(message=f"{paths.preprocessing.name} could not be written: {error}"))
    trainers = prepared.result()
    for text in (*dataset.notices, *ray_internals.notices()):
        recorder.record(events.Warned(message=text))
    from raytrain.driver.worker_groups import WorkerGroups

    return WorkerGroups(request, paths, recorder, dataset, mailbox, stop, trainers, folder).run()


def _start_ahead(scaling: ScalingSpec, trainers: Trainers) -> None:
    from raytrain.driver.worker_group import worker_environment

    trainers.start_ahead(scaling.workers, needs_of(scaling), worker_environment(scaling))


def _prepare_trainers(request: JobRequest, mailbox: Any) -> Trainers:
    """Imports what is needed later, while the data is read."""
    import raytrain.driver.worker_groups  # noqa: F401

    queue_timeout_s = request.spec.scaling.queue_timeout
    if not ray_internals.is_there(ray_internals.CONTROLLER):
        from raytrain.driver.trainers import Trainers

        return Trainers(queue_timeout_s=queue_timeout_s)
    from raytrain.driver.train_controller import DriverTrainers

    return DriverTrainers(request.run, mailbox, queue_timeout_s=queue_timeout_s)
