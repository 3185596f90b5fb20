"""Tells the driver about once a second where this rank is, also while its training thread hangs.

Runs in: a thread of every Train worker. Imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic, perf_counter, time

from raytrain import protocol
from raytrain.periodic import Periodic
from raytrain.worker.process_usage import ProcessUsage

EVERY_S = 1.0
STACKS_SIGNAL = signal.SIGUSR1
_MEDIAN_OF = 51


@dataclass(frozen=True, kw_only=True)
class Reached:
    """`phase`: see `raytrain.protocol.Heartbeat`. `advanced_at`: on this process's monotonic clock."""

    phase: str
    epoch: int
    step: int
    advanced_at: float


class Position:
    """Where the training thread is; it sets, any other thread reads, and `touch`es when rows come in."""

    def __init__(self) -> None:
        self._reached = Reached(phase="setup", epoch=0, step=0, advanced_at=monotonic())
        self._touched_at = 0.0
        self._first_s: float | None = None
        self._times_s: deque[float] = deque(maxlen=_MEDIAN_OF)
        self._marked = perf_counter()

    @property
    def now(self) -> Reached:
        reached = self._reached
        return replace(reached, advanced_at=max(reached.advanced_at, self._touched_at))

    @property
    def step_s(self) -> float | None:
        """The median time of an `advance` so far; the first, in which steps are traced, counts only while alone."""
        times = list(self._times_s)
        return statistics.median(times) if times else self._first_s

    def reach(self, phase: str, epoch: int = 0, step: int = 0) -> None:
        self._reached = Reached(phase=phase, epoch=epoch, step=step, advanced_at=monotonic())
        self._marked = perf_counter()

    def begin_steps(self) -> None:
        """Steps begin: how long the first takes is counted from now on."""
        self._marked = perf_counter()

    def touch(self) -> None:
        """Rows have come in that the training thread may be waiting for: it stays where it is, and does not hang."""
        self._touched_at = monotonic()

    def advance(self, epoch: int, step: int) -> float:
        """The training thread has run a chunk of steps; returns the seconds it took."""
        took_s = perf_counter() - self._marked
        if self._first_s is None:
            self._first_s = took_s
        else:
            self._times_s.append(took_s)
        self.reach("train", epoch, step)
        return took_s


def beating(position: Position, send: Callable[[protocol.Message], None], *, rank: int) -> Periodic:
    """A context that sends a heartbeat about once a second."""
    process = ProcessUsage()

    def beat() -> None:
        now, usage = position.now, process.look()
        send(
            protocol.Heartbeat(
                rank=rank,
                time=time(),
                phase=now.phase,
                epoch=now.epoch,
                step=now.step,
                stalled_s=monotonic() - now.advanced_at,
                step_s=position.step_s,
                memory_bytes=usage.memory_bytes,
                gpu_utilization=usage.gpu_utilization,
                gpu_memory_bytes=usage.gpu_memory_bytes,
            )
        )

    return Periodic(beat, every_s=EVERY_S, name="raytrain-heartbeat")


@contextlib.contextmanager
def stacks_on_signal() -> Iterator[None]:
    """Until the block ends, SIGUSR1 writes every thread's stack to standard error, and so into this rank's log.

    Done by the signal's handler itself, so it works also while a thread holds the interpreter.
    """
    faulthandler.register(STACKS_SIGNAL, file=2, all_threads=True)
    try:
        yield
    finally:
        faulthandler.unregister(STACKS_SIGNAL)
