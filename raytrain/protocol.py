"""What a worker tells the driver, one frozen dataclass a message. Light: the driver and the controller import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages. `time`: seconds since the epoch on the worker's clock."""

    rank: int
    time: float


@dataclass(frozen=True, kw_only=True)
class PhaseDone(Message):
    """This rank is past a step of the start-up (see `raytrain.run.events.Phase`)."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Built(Message):
    """The chief's model stands."""

    parameters: int
    trainable_parameters: int


@dataclass(frozen=True, kw_only=True)
class EpochDone(Message):
    """The chief's report of an epoch, `metrics` pooled over all workers.

    `rank_seconds`, `rank_rows` and `rank_wait_s` have one entry a rank; the last is how long its training thread stood
    still for want of rows.
    """

    epoch: int
    rank_seconds: list[float]
    rank_rows: list[int]
    rank_wait_s: list[float]
    metrics: dict[str, float]
    learning_rate: float | None
    best: dict[str, Any] | None
    patience_left: int | None


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Message):
    """Where a rank is; sent about once a second by a thread of its own, also while the training thread hangs.

    Attributes:
        phase: `setup`, `train`, `epoch_end` (validation, callbacks, saving) or `finish`.
        step: steps done in the epoch.
        stalled_s: for how long the training thread has not come to a new phase, epoch or step.
        step_s: the median time from one advance to the next while training, which is that of all the steps that one
            call of the train function runs; None before the first.
    """

    phase: str
    epoch: int
    step: int
    stalled_s: float
    step_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointWritten(Message):
    """`step`: steps done of `epoch + 1` when it was taken within an epoch; 0 at an epoch's end."""

    epoch: int
    path: str
    seconds: float
    step: int = 0
    blocked_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CheckpointFailed(Message):
    """A save failed and is tried again, unless `given_up`."""

    epoch: int
    why: str
    given_up: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckpointBroken(Message):
    path: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RestoredFrom(Message):
    """As in `CheckpointWritten`; `reports`: of the newest epochs, which a driver may have died without noting."""

    epoch: int
    path: str
    step: int = 0
    reports: list[EpochDone] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StopDecided(Message):
    """Training ends; `step`: steps done of `epoch` where it ends within it, else 0.

    `reason`: a `raytrain.run.Reason`, or `resize` or `fall_back` (see `raytrain.worker.early_stopping.Pause`).
    """

    epoch: int
    reason: str
    text: str
    best: dict[str, Any] | None
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Tested(Message):
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ModelWritten(Message):
    path: str


@dataclass(frozen=True, kw_only=True)
class Notice(Message):
    text: str


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """This rank's training raised. `error`: see `raytrain.user_code.describe_failure`."""

    error: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """This rank is done; `reason`: as in `StopDecided`."""

    reason: str
