"""What is known of where each rank is, from its heartbeats.

Runs in: the driver. Ages are reckoned on monotonic clocks, one at a time: the nodes' clocks need not agree, and may be
set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from raytrain import protocol
from raytrain.run import events

SETUP = "setup"
# In the order in which a rank passes through them.
PHASES = (SETUP, "train", "epoch_end", "finish")


@dataclass(frozen=True, kw_only=True)
class RankState:
    """A rank as last heard.

    Attributes:
        stalled_s: for how long it has not come to a new phase, epoch or step.
        silent_s: for how long nothing was heard of it.
        first_step_s: how long the group's first step took, in which steps are traced; 0 before it is done.
        memory_bytes, gpu_utilization, gpu_memory_bytes: see `raytrain.worker.process_usage`.
    """

    rank: int
    phase: str = SETUP
    epoch: int = 0
    step: int = 0
    step_s: float | None = None
    stalled_s: float = 0.0
    silent_s: float = 0.0
    first_step_s: float = 0.0
    memory_bytes: int = 0
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None

    @property
    def progress(self) -> tuple[int, int, int]:
        """Grows as the rank advances."""
        phase = PHASES.index(self.phase) if self.phase in PHASES else len(PHASES)
        return (int(phase > 0) + int(self.phase == "finish"), self.epoch, self.step)


class RankProgress:
    """The newest heartbeat of every rank of one worker group."""

    def __init__(self, workers: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._workers = workers
        self._lock = threading.Lock()
        self._heard: dict[int, tuple[protocol.Heartbeat, float]] = {}
        self._placed_at: float | None = None
        self._steps_per_s = 0.0
        self._furthest: tuple[int, int] | None = None
        self._started_at: float | None = None
        self._model_at: dict[int, float] = {}  # on each rank's own clock
        self._first_step_s = 0.0

    def note(self, message: protocol.Message) -> None:
        match message:
            case protocol.Heartbeat():
                with self._lock:
                    self._steps_per_s = max(self._steps_per_s, _speed(self._heard.get(message.rank), message))
                    self._heard[message.rank] = message, self._clock()
                    if message.phase == SETUP:
                        return
                    self._furthest = max(self._furthest or (0, 0), (message.epoch, message.step))
            case protocol.PhaseDone(name="model"):
                self._model_at[message.rank] = message.time
                return
            case protocol.PhaseDone(name="first_step"):
                took_s = message.time - self._model_at.get(message.rank, message.time)
                self._first_step_s = max(self._first_step_s, took_s)
            case protocol.Happened(event=events.EpochEnd()):
                pass
            case _:
                return
        self._started_at = self._started_at or self._clock()

    def placed(self) -> None:
        """The group's processes run: from now on they can be waited for."""
        self._placed_at = self._clock()

    def states(self) -> list[RankState]:
        """All ranks, the ones never heard of too; none before the group's processes run."""
        if self._placed_at is None:
            return []
        with self._lock:
            return [self._state(rank, self._placed_at) for rank in range(self._workers)]

    @property
    def started(self) -> bool:
        """A rank is past its first step."""
        return self._started_at is not None

    @property
    def position(self) -> tuple[int, int] | None:
        """Epoch and step that a rank has come to at the furthest; None before the first step."""
        return self._furthest

    @property
    def steps_per_s(self) -> float:
        """The fastest that a rank was seen to go; 0 before the first step."""
        return self._steps_per_s

    def _state(self, rank: int, placed_at: float) -> RankState:
        if rank not in self._heard:
            waited_s = self._clock() - placed_at
            return RankState(rank=rank, stalled_s=waited_s, silent_s=waited_s)
        beat, heard_at = self._heard[rank]
        silent_s = self._clock() - heard_at
        return RankState(
            rank=rank,
            phase=beat.phase,
            epoch=beat.epoch,
            step=beat.step,
            step_s=beat.step_s,
            stalled_s=beat.stalled_s + silent_s,
            silent_s=silent_s,
            first_step_s=self._first_step_s,
            memory_bytes=beat.memory_bytes,
            gpu_utilization=beat.gpu_utilization,
            gpu_memory_bytes=beat.gpu_memory_bytes,
        )


def _speed(earlier: tuple[protocol.Heartbeat, float] | None, beat: protocol.Heartbeat) -> float:
    """Steps a second between two heartbeats of a rank within one epoch, or by the time of its steps."""
    by_step = 1 / beat.step_s if beat.step_s else 0.0
    if earlier is None or (earlier[0].phase, earlier[0].epoch) != (beat.phase, beat.epoch):
        return by_step
    passed_s = beat.time - earlier[0].time
    return max(by_step, (beat.step - earlier[0].step) / passed_s) if passed_s > 0 else by_step
