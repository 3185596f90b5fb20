"""Trains the first rows as one worker of several, by the code that trains in a run.

Runs in: the workers' processes of a check.
"""

from __future__ import annotations

from raytrain import protocol
from raytrain.check_protocol import CheckFolder, CheckRequest
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.worker.check.observer import Observer
from raytrain.worker.check.phase_file import Progress
from raytrain.worker.check.rows_file import read_rows
from raytrain.worker.check.trained import Trained
from raytrain.worker.fit import WorkerJob, train
from raytrain.worker.strategy import join


class _Told:
    """Stands where the driver's mailbox would: keeps what there is to tell, and asks for nothing."""

    def __init__(self, progress: Progress) -> None:
        self.events: list[events.Event] = []
        self._progress = progress

    def send(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.PhaseDone):
            self._progress.reach(f"training, {message.name} ready")
        if isinstance(message, protocol.Happened):
            self.events.append(message.event)

    def asked(self) -> str:
        return ""


def train_as_worker(folder: CheckFolder, request: CheckRequest, progress: Progress, *, rank: int) -> Trained:
    """What it comes to, the same on every rank.

    Raises:
        Whatever `raytrain.worker.fit.train` raises.
    """
    progress.reach("waiting for the rows")
    progress.wait_for([folder.rows])
    paths = RunPaths(folder.run)
    paths.root.mkdir(parents=True, exist_ok=True)
    told = _Told(progress)
    progress.reach("joining the other workers")
    with Observer(join(gpus_per_worker=0), progress) as observer:
        job = WorkerJob(
            spec=_for_few_steps(request.spec),
            splits=read_rows(folder),
            rank=rank,
            folder=folder.job,
            paths=paths,
            base_model=folder.job / request.base_model if request.base_model else None,
            observers=[observer],
        )
        train(job, told)
    for event in told.events:
        if isinstance(event, events.TestEnd):
            observer.tell(event.metrics, prefix="test_")
    trained = observer.trained
    trained.warnings = tuple(event.message for event in told.events if isinstance(event, events.Warned))
    return trained


def _for_few_steps(spec: JobSpec) -> JobSpec:
    """One epoch of the rows in the order they come in; the whole answer is wanted, and every difference told."""
    fit = spec.fit.model_copy(update={"epochs": spec.fit.initial_epoch + 1, "validation_freq": 1, "answer": "warn"})
    return spec.model_copy(
        update={
            "fit": fit,
            "data": spec.data.model_copy(update={"shuffle": False}),
            "scaling": spec.scaling.model_copy(update={"gpus_per_worker": 0}),
            "early_stopping": None,
        }
    )
