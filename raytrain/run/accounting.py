"""Where a run's time went: every second from the command to the last event, put down to one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from raytrain.run import events


class Spent(StrEnum):
    """What a run spends time on, in words for people, in the order in which it first does so."""

    DRIVER = "starting the driver"
    DATA = "reading the data"
    ROOM = "waiting for room"
    WORKERS = "starting the workers"
    TENSORFLOW = "importing TensorFlow"
    MODEL = "building the model"
    FIRST_STEP = "running the first step"
    PROOF = "proving the answer"
    TRAINING = "training"
    ROWS = "waiting for rows"
    CHECKPOINTS = "saving checkpoints"
    BETWEEN = "between epochs"
    LOST = "lost to failures"
    RESTARTS = "starting again"
    AWAY = "between attempts"
    ENDING = "testing and saving the model"


_OF_PHASE = {
    "driver": Spent.DRIVER,
    "data": Spent.DATA,
    "workers": Spent.WORKERS,
    "tensorflow": Spent.TENSORFLOW,
    "model": Spent.MODEL,
    "first_step": Spent.FIRST_STEP,
}


@dataclass(kw_only=True)
class Accounting:
    """A fold over a run's events.

    Attributes:
        seconds: by what they were spent on.
    """

    seconds: dict[Spent, float] = field(default_factory=dict)
    _until: float | None = None
    _blocked_s: float = 0.0
    _failed: bool = False
    _queued: bool = False

    def add(self, event: events.Event) -> None:
        """Takes in the next event of the log."""
        match event:
            case events.Submitted():
                self._spend(Spent.AWAY, until=event.submitted_at)
                self._failed = event.attempt > 1
            case events.Phase(name=name) if name in _OF_PHASE:
                self._spend(_OF_PHASE[name], until=event.time)
            case events.Queued():
                self._spend(Spent.RESTARTS if self._failed else Spent.WORKERS, until=event.time)
                self._queued = True
            case events.Placed():
                self._spend(Spent.ROOM if self._queued else Spent.WORKERS, until=event.time)
                self._queued = False
            case events.AnswerProven() | events.AnswerDiffers():
                self._spend(Spent.PROOF, until=event.time)
            case events.CheckpointSaved():
                self._blocked_s += event.blocked_s
            case events.EpochEnd():
                self._spend_epoch(event)
            case events.GroupFailed() | events.WorkerLost() | events.Hung():
                self._spend(Spent.LOST, until=event.time)
                self._failed = True
            case events.RunFinished(status="FAILED"):
                self._spend(Spent.LOST, until=event.time)
            case events.TestEnd() | events.ModelSaved() | events.RunFinished():
                self._spend(Spent.ENDING, until=event.time)

    def shares(self) -> Mapping[Spent, float]:
        """What each thing took of the whole, 0 to 1, in the order of `Spent`."""
        whole = sum(self.seconds.values())
        return {spent: self.seconds[spent] / whole for spent in Spent if self.seconds.get(spent, 0.0) > 0}

    def _spend(self, on: Spent, *, until: float, most_s: float | None = None) -> None:
        """Puts down what has passed since the last event that counts; a clock that was set back counts as nothing."""
        if self._until is None:
            self._until = until
        passed_s = max(0.0, until - self._until)
        taken_s = passed_s if most_s is None else min(passed_s, max(0.0, most_s))
        self.seconds[on] = self.seconds.get(on, 0.0) + taken_s
        self._until += taken_s

    def _spend_epoch(self, event: events.EpochEnd) -> None:
        """The epoch's own time is its last; what lies before it came between it and what was before."""
        began = event.time - event.seconds
        self._spend(Spent.RESTARTS if self._failed else Spent.BETWEEN, until=max(began, self._until or 0.0))
        self._spend(Spent.ROWS, until=event.time, most_s=max(event.rank_wait_s, default=0.0))
        self._spend(Spent.CHECKPOINTS, until=event.time, most_s=self._blocked_s)
        self._spend(Spent.TRAINING, until=event.time)
        self._blocked_s, self._failed = 0.0, False
