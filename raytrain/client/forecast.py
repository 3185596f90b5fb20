"""How long an epoch would take on other numbers of workers, foreseen from a run of the same job that was timed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from raytrain.client.read_job import job_file_of
from raytrain.client.registry import remembered
from raytrain.client.stored_status import StoredStatus, stored_status
from raytrain.spec.epoch_prediction import NETWORK, ONE_MACHINE, Link, Measured, Prediction, predict

if TYPE_CHECKING:
    from raytrain.spec.load import LoadedJob

_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """`run`: the one that was timed."""

    run: str
    measured: Measured
    link: Link
    predictions: tuple[Prediction, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `plan --json` prints it."""
        return asdict(self)


def foresee(job: LoadedJob, workers: Sequence[int]) -> Scaling | None:
    """What each number of workers would bring; None where no run of the job was timed yet."""
    scaling = job.spec.scaling
    link = NETWORK if scaling.gpus_per_worker and scaling.collectives != "ring" else ONE_MACHINE
    file = job_file_of(job)
    for record in reversed(remembered()) if file else ():
        stored = stored_status(record) if record.job == file else None
        measured = _measured(stored, job.spec.fit.global_batch_size) if stored else None
        if measured is not None:
            found = tuple(predict(measured, count, link) for count in workers)
            return Scaling(run=record.run, measured=measured, link=link, predictions=found)
    return None


def _measured(stored: StoredStatus, global_batch_size: int) -> Measured | None:
    """The timing of a run of the same batch; the first epoch, in which steps are traced, apart."""
    workers, steps, parameters = stored.workers, stored.steps_per_epoch, stored.parameters
    is_timed = len(stored.epoch_s) >= 2 and stored.global_batch_size == global_batch_size
    if not is_timed or workers is None or steps is None or parameters is None:
        return None
    return Measured(
        workers=workers,
        steps=steps,
        epoch_s=statistics.median(stored.epoch_s[1:]),
        gradient_bytes=parameters * _FLOAT_BYTES,
    )
