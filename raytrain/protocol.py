"""What the workers and the driver tell each other, one frozen dataclass a message.

What becomes an event of the run as it stands travels as that event. Light: Ray Train's controller imports it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from raytrain.errors import Failure
from raytrain.run.events import EpochEnd, Event, Restored


class Pause(StrEnum):
    """Why a worker group ends that another one follows, which goes on from the newest checkpoint."""

    RESIZE = "resize"
    FALL_BACK = "fall_back"


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all that a worker says. `time`: seconds since the epoch on the worker's clock."""

    rank: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Happened(Message):
    """An event, but for the run and the attempt, which the recorder knows."""

    event: Event


@dataclass(frozen=True, kw_only=True)
class PhaseDone(Message):
    """This rank is past a step of the start-up (see `raytrain.run.events.Phase`)."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Message):
    """Where a rank is; sent about once a second by a thread of its own, also while the training thread hangs.

    Attributes:
        phase: `setup`, `train`, `epoch_end` (validation, callbacks, saving) or `finish`.
        step: steps done in the epoch.
        stalled_s: for how long the training thread has not come to a new phase, epoch or step.
        step_s: the median time from one advance to the next while training, which is that of all the steps that one
            call of the train function runs; None before the first.
        memory_bytes, gpu_utilization, gpu_memory_bytes: see `raytrain.worker.process_usage`.
    """

    phase: str
    epoch: int
    step: int
    stalled_s: float
    step_s: float | None = None
    memory_bytes: int = 0
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class GoesOn(Message):
    """Training goes on from a checkpoint.

    `reports`: of the newest epochs, those of earlier attempts too; a driver may have died without noting them.
    """

    restored: Restored
    reports: Sequence[EpochEnd] = ()


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """This rank's training raised."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """This rank is done; `reason`: a `Reason` or a `Pause`."""

    reason: str
