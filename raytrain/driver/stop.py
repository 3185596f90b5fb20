"""The stop that a user or the platform asks for: politely by SIGTERM, at once by a file beside it.

Runs in: the driver. Politely means that the workers finish their step, save, and end by themselves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from raytrain.driver.monitor import Monitor
from raytrain.driver.processes import kill
from raytrain.driver.pulse import Pulse
from raytrain.driver.recorder import Recorder
from raytrain.events import types
from raytrain.object_store import ObjectStore
from raytrain.run import Reason, RunPaths, RunStatus

# Ray kills the driver 60 s after it asked it to stop (`raytrain.cluster.submission.STOP_WAIT_S`).
_GRACE_S = 45.0
_LOOK_EVERY_S = 0.25


class Sign:
    """The file that `raytrain stop --now` leaves in the run's directory, wherever that is."""

    def __init__(self, paths: RunPaths) -> None:
        self._file = paths.stop_now
        self._store = ObjectStore(paths.uri) if paths.uri else None

    def is_there(self) -> bool:
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.pull(self._file.name, self._file)
        return self._file.exists()

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)
        if self._store is not None:
            with contextlib.suppress(OSError):
                self._store.remove_object(self._file.name)


class Stop:
    """Listens for the signal from its making on.

    Attributes:
        asked: the run is to stop.
    """

    def __init__(self, paths: RunPaths, recorder: Recorder) -> None:
        self._recorder = recorder
        self._mailbox: Any = None
        self._group: tuple[Monitor, Pulse] | None = None
        self._asked = threading.Event()
        self._over = threading.Event()
        self._ending = threading.Lock()
        self._sign = Sign(paths)
        self._sign.remove()
        signal.signal(signal.SIGTERM, self._on_signal)

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for so long, or until a stop is asked for; whether it is."""
        return self._asked.wait(seconds)

    def reach(self, mailbox: Any) -> None:
        """From now on the workers can be asked."""
        self._mailbox = mailbox

    def group_begins(self, monitor: Monitor, pulse: Pulse) -> None:
        self._group = (monitor, pulse)

    def group_ends(self) -> None:
        self._group = None

    def end(self) -> None:
        """The run has come to its own end: a stop that was asked for late changes nothing any more."""
        self._ending.acquire()  # for good; a stop that has it already ends the process
        self._over.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self._asked.set()
            threading.Thread(target=self._stop, name="raytrain-stop", daemon=True).start()

    def _stop(self) -> None:
        if self._mailbox is not None:
            self._mailbox.ask.remote("stop")
        deadline = time.monotonic() + _GRACE_S
        while self._is_saving() and not self._sign.is_there() and time.monotonic() < deadline:
            if self._over.wait(_LOOK_EVERY_S):
                return
        with self._ending:
            self._recorder.record(types.RunFinished, status=str(RunStatus.STOPPED), reason=str(Reason.STOPPED_BY_USER))
            if self._group is not None:
                kill(self._group[0].workers)
            self._sign.remove()
            os._exit(1)

    def _is_saving(self) -> bool:
        """Whether there is a worker group that has done anything since the last checkpoint."""
        return self._group is not None and self._group[1].started
