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
    """This rank is past a step of the start-up (see `raytrain.events.types.Phase`)."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Built(Message):
    """The chief's model stands."""

    parameters: int
    trainable_parameters: int


@dataclass(frozen=True, kw_only=True)
class EpochDone(Message):
    """A rank is through an epoch; `metrics`, pooled over all workers, are the same from every rank."""

    epoch: int
    seconds: float
    rows: int
    metrics: dict[str, float]
    learning_rate: float | None
    best: dict[str, Any] | None
    patience_left: int | None


@dataclass(frozen=True, kw_only=True)
class CheckpointWritten(Message):
    epoch: int
    path: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CheckpointBroken(Message):
    path: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RestoredFrom(Message):
    epoch: int
    path: str


@dataclass(frozen=True, kw_only=True)
class StopDecided(Message):
    epoch: int
    reason: str
    text: str
    best: dict[str, Any] | None


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
    """This rank's training raised. `error`: see `raytrain.worker.failure.describe`."""

    error: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finished(Message):
    """This rank is done; `reason` is why training ended (a `raytrain.run.Reason`)."""

    reason: str
