"""How long an epoch would take on other numbers of workers, foreseen from a run of the same job that was timed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raytrain import formatting

if TYPE_CHECKING:
    from raytrain.spec.epoch_prediction import Link, Measured, Prediction
    from raytrain.spec.load import LoadedJob

_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """`run`: the one that was timed."""

    run: str
    measured: Measured
    link: Link
    predictions: tuple[Prediction, ...]


def foresee(job: LoadedJob, workers: Sequence[int]) -> Scaling | None:
    """What each number of workers would bring; None where no run of the job was timed yet."""
    from raytrain.client.registry import remembered
    from raytrain.run.run_paths import RunPaths
    from raytrain.spec.epoch_prediction import NETWORK, ONE_MACHINE, predict

    link = NETWORK if job.spec.scaling.gpus_per_worker else ONE_MACHINE
    for record in reversed(remembered()):
        if record.job != str(job.folder) or not record.storage:
            continue
        try:
            status = json.loads(RunPaths.of(record.storage, record.run).status.read_text())
        except (OSError, ValueError):
            continue
        measured = _measured(status, job.spec.fit.global_batch_size)
        if measured is not None:
            found = tuple(predict(measured, count, link) for count in workers)
            return Scaling(run=record.run, measured=measured, link=link, predictions=found)
    return None


def scaling_lines(scaling: Scaling | None) -> Iterator[tuple[str, str]]:
    """Label and text of each line, the assumptions last."""
    if scaling is None:
        yield "epoch", "no run of this job was timed yet; two epochs are enough: --set fit.epochs=2"
        return
    for number, prediction in enumerate(scaling.predictions):
        count = formatting.plural(prediction.workers, "worker")
        text = f"{count}: {formatting.seconds(prediction.epoch_s)}, efficiency {prediction.efficiency:.0%}"
        yield "epoch" if number == 0 else "", text
    measured = scaling.measured
    timed = f"{formatting.seconds(measured.epoch_s)} on {formatting.plural(measured.workers, 'worker')}"
    yield "", f"foreseen from {scaling.run}, {timed}; a ring all-reduce of {formatting.size(measured.gradient_bytes)}"
    yield "", f"a step over {scaling.link.name}, hidden behind nothing; data in time; the global batch kept"


def scaling_object(scaling: Scaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "run": scaling.run,
        "measured": vars(scaling.measured),
        "link": vars(scaling.link),
        "predictions": [vars(prediction) for prediction in scaling.predictions],
    }


def _measured(status: dict[str, Any], global_batch_size: int) -> Measured | None:
    """The timing in the `status.json` of a run of the same batch; the first epoch, in which steps are traced, apart."""
    from raytrain.spec.epoch_prediction import Measured

    epochs = (status.get("timing") or {}).get("epoch_s") or []
    known = [status.get(name) for name in ("workers", "steps_per_epoch", "parameters")]
    if len(epochs) < 2 or None in known or status.get("global_batch_size") != global_batch_size:
        return None
    workers, steps, parameters = (int(value) for value in known if value is not None)
    return Measured(
        workers=workers,
        steps=steps,
        epoch_s=statistics.median(epochs[1:]),
        gradient_bytes=parameters * _FLOAT_BYTES,
    )
