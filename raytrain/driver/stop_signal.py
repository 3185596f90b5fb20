"""The stop that a user or the platform asks for: by SIGTERM or the announced end of the driver's node, or by a file.

Runs in: the driver. Politely means that the workers finish their step, save, and end by themselves.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import ray

from raytrain.driver.cluster_nodes import draining_nodes, own_node
from raytrain.driver.group_monitor import GroupMonitor
from raytrain.driver.rank_processes import kill
from raytrain.driver.rank_progress import RankProgress
from raytrain.driver.recorder import Recorder
from raytrain.periodic import Periodic
from raytrain.run import events
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason, RunStatus

# Ray kills the driver 600 s after it asked it to stop (`raytrain.cluster.submission.STOP_WAIT_S`).
_GRACE_S = 45.0
_LONGEST_GRACE_S = 540.0
_CHUNKS_TO_STOP = 3
_LOOK_EVERY_S = 0.25
_ASK_CLUSTER_EVERY_S = 5.0
# What the process needs of the time that its node has left, to say how the run ended.
_LAST_WORDS_S = 10.0


class StopNowFile:
    """The file that `raytrain stop --now` leaves in the run's directory, wherever that is."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._file = paths.stop_now
        self._store = ObjectStore(paths.uri) if paths.uri else None

    def is_there(self) -> bool:
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.pull(self._file.name, self._file)
        return self._file.exists()

    def push_last_words(self) -> None:
        """Brings what says how the run ended into the store, where the process ends before its mirror does."""
        if self._store is not None:
            for file in (self._paths.events, self._paths.status, self._paths.metrics):
                with contextlib.suppress(OSError):
                    self._store.push(file, file.name)

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.remove_object(self._file.name)


class StopSignal:
    """Listens for the signal from its making on.

    Attributes:
        asked: the run is to stop.
        reason: why.
    """

    def __init__(self, paths: RunPaths, recorder: Recorder) -> None:
        self._recorder = recorder
        self._mailbox: Any = None
        self._group: tuple[GroupMonitor, RankProgress] | None = None
        self.reason = Reason.STOPPED_BY_USER
        self._node_ends_at = math.inf
        self._asked = threading.Event()
        self._over = threading.Event()
        self._node_watch = Periodic(self._look_at_node, every_s=_ASK_CLUSTER_EVERY_S, name="raytrain-node")
        self._ending = threading.Lock()
        self._sign = StopNowFile(paths)
        self._sign.remove()
        signal.signal(signal.SIGTERM, self._on_signal)

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for so long, or until a stop is asked for; whether it is."""
        return self._asked.wait(seconds)

    def reach(self, mailbox: Any) -> None:
        """From now on the workers can be asked, and the driver's node is watched."""
        self._mailbox = mailbox
        self._node_watch.start()

    def group_begins(self, monitor: GroupMonitor, progress: RankProgress) -> None:
        self._group = (monitor, progress)

    def group_ends(self) -> None:
        if not self.asked:  # else it is what the stop waits for, until `end`
            self._group = None

    def end(self) -> None:
        """The run has come to its own end: a stop that was asked for late changes nothing any more."""
        self._ending.acquire()  # for good; a stop that has it already ends the process
        self._over.set()
        self._node_watch.stop()

    def leave_node(self, ends_at_ms: int) -> None:
        """The driver's own node is going away: no other group can follow here.

        Args:
            ends_at_ms: when it does, in ms since the epoch; 0 where that is unknown.
        """
        self._node_ends_at = ends_at_ms / 1000 if ends_at_ms else math.inf
        self._ask(Reason.PREEMPTED)

    def _look_at_node(self) -> None:
        try:
            ends_at_ms = draining_nodes().get(own_node())
        except (ray.exceptions.RayError, OSError):  # the cluster does not answer now
            return
        if ends_at_ms is not None:
            self._node_watch.stop()
            self._recorder.record(events.Warned(message="the driver's node is going away: saving, then stopping"))
            self.leave_node(ends_at_ms)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._ask(Reason.STOPPED_BY_USER)

    def _ask(self, reason: Reason) -> None:
        if not self.asked:
            self.reason = reason
            self._asked.set()
            threading.Thread(target=self._stop, name="raytrain-stop", daemon=True).start()

    def _stop(self) -> None:
        if self._mailbox is not None:
            self._mailbox.ask.remote("stop")
        began = time.monotonic()
        while self._is_saving() and not self._sign.is_there() and self._has_time(time.monotonic() - began):
            if self._over.wait(_LOOK_EVERY_S):
                return
        with self._ending:
            self._recorder.record(events.RunFinished(status=str(RunStatus.STOPPED), reason=str(self.reason)))
            group = self._group
            if group is not None:
                kill(group[0].workers)
            self._recorder.close()
            self._sign.remove()
            self._sign.push_last_words()
            os._exit(1)

    def _has_time(self, passed_s: float) -> bool:
        return passed_s < self._grace_s() and time.time() < self._node_ends_at - _LAST_WORDS_S

    def _grace_s(self) -> float:
        """How long the workers have: some chunks of steps, and as long as may be for what is written besides."""
        group = self._group
        states = group[1].states() if group is not None else []
        if any(state.phase in ("epoch_end", "finish") for state in states):
            return _LONGEST_GRACE_S
        chunk_s = max((state.step_s or 0.0 for state in states), default=0.0)
        return min(max(_GRACE_S, _CHUNKS_TO_STOP * chunk_s), _LONGEST_GRACE_S)

    def _is_saving(self) -> bool:
        """Whether there is a worker group that has done anything since the last checkpoint."""
        group = self._group
        return group is not None and group[1].started
