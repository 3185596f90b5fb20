"""The stop that a user or the platform asks for: politely by SIGTERM, at once by a file beside it.

Runs in: the driver. Politely means that the workers finish their step, save, and end by themselves.
"""

from __future__ import annotations

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
from raytrain.run import Reason, RunPaths, RunStatus

# Ray kills the driver 60 s after it asked it to stop (`raytrain.cluster.submission.STOP_WAIT_S`).
_GRACE_S = 45.0
_LOOK_EVERY_S = 0.25


class Stop:
    """Listens for the signal from its making on.

    Attributes:
        asked: the run is to stop.
    """

    def __init__(self, paths: RunPaths, recorder: Recorder) -> None:
        self._paths, self._recorder = paths, recorder
        self._mailbox: Any = None
        self._group: tuple[Monitor, Pulse] | None = None
        self._asked = threading.Event()
        self._over = threading.Event()
        self._ending = threading.Lock()
        paths.stop_now.unlink(missing_ok=True)
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
        while self._is_saving() and not self._paths.stop_now.exists() and time.monotonic() < deadline:
            if self._over.wait(_LOOK_EVERY_S):
                return
        with self._ending:
            self._recorder.record(types.RunFinished, status=str(RunStatus.STOPPED), reason=str(Reason.STOPPED_BY_USER))
            if self._group is not None:
                kill(self._group[0].workers)
            self._paths.stop_now.unlink(missing_ok=True)
            os._exit(1)

    def _is_saving(self) -> bool:
        """Whether there is a worker group that has done anything since the last checkpoint."""
        return self._group is not None and self._group[1].started
