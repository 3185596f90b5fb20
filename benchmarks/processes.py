"""The processes of a local cluster while a command runs: which, from when to when, and the processor time of each.

Read from the system some ten times a second, so that what a process takes in its last tenth of a second is not seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from raytrain.cluster.local import cluster_processes
from raytrain.cluster.local.cluster_record import read_record

_EVERY_S = 0.1
# What stands in a command line, and what the process is called here. Ray's workers rename themselves: see `_name`.
_NAMES = {
    "raytrain.driver.trackers": "trackers",
    "raytrain.driver": "driver",
    "runtime_env/agent": "runtime env agent",
    "dashboard/agent.py": "dashboard agent",
    "dashboard/dashboard.py": "dashboard",
    "log_monitor.py": "log monitor",
    "autoscaler/_private/monitor.py": "autoscaler monitor",
    "ray.util.client.server": "client server",
    "gcs_server": "gcs_server",
    "raylet/raylet": "raylet",
}
UNNAMED = "worker without a task"
SHELL = "shell"


@dataclass(kw_only=True)
class Seen:
    """A process that was seen.

    Attributes:
        name: as it last called itself.
        cpu: seconds of processor time since the observation began, by the moment of each look.
        began: moment of the first look that saw it.
        is_new: it was not there when the observation began.
    """

    pid: int
    name: str
    began: float
    is_new: bool
    cpu: list[tuple[float, float]] = field(default_factory=list)

    def cpu_until(self, moment: float) -> float:
        """Processor seconds up to a moment, on the clock of `time.time`."""
        return max((seconds for when, seconds in self.cpu if when <= moment), default=0.0)

    @property
    def ended(self) -> float:
        return self.cpu[-1][0] if self.cpu else self.began


@contextmanager
def observed(environ: Mapping[str, str] | None = None) -> Iterator[list[Seen]]:
    """A context in which the processes of the local cluster are looked at; the list is whole once it is left.

    Args:
        environ: that names the state directory of the user whose cluster it is; this process's own when left out.
    """
    record = read_record(environ)
    assert record is not None, "a local cluster that raytrain has started"
    seen: dict[int, Seen] = {}
    ours: dict[int, bool] = {}
    start: dict[int, float] = {}
    found: list[Seen] = []
    over = threading.Event()

    def look(*, first: bool = False) -> None:
        for pid in psutil.pids():
            if pid not in ours:
                ours[pid] = _is_of(pid, record.mark, record.session)
            if not ours[pid]:
                continue
            try:
                process = psutil.Process(pid)
                times, name, moment = process.cpu_times(), _name(process), time.time()
            except psutil.Error:
                continue
            known = seen.get(pid)
            if known is None:
                start[pid] = times.user + times.system if first else 0.0
                known = seen[pid] = Seen(pid=pid, name=name, began=moment, is_new=not first)
                found.append(known)
            if name != UNNAMED:
                known.name = name
            known.cpu.append((moment, times.user + times.system - start[pid]))

    def go_on() -> None:
        while not over.wait(_EVERY_S):
            look()

    look(first=True)
    looking = threading.Thread(target=go_on, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()
        look()


def _is_of(pid: int, mark: str, session: int) -> bool:
    if cluster_processes.session_of(pid) == session:
        return True
    try:
        return f"{cluster_processes.MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    line = " ".join(words)
    if line.startswith("ray::"):
        title = line.removeprefix("ray::").split(".", 1)[0].split(":", 1)[0].strip()
        return UNNAMED if title.startswith("IDLE") else title
    if not words or Path(words[0]).name in ("sh", "bash", "sleep"):
        return SHELL
    return next((name for part, name in _NAMES.items() if part in line), UNNAMED)
