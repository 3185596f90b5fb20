"""Finds and ends the processes of a local cluster, and no others.

A process is known by its pid *and* the moment it began, so that a pid that was given to another process since is never
mistaken; a clock that is set in between changes nothing. A cluster's processes are found by three signs, none of which
suffices alone: the session id of the daemon that started it (job drivers begin sessions of their own), a mark in their
environment (processes that rename themselves may overwrite it), and descent from either.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "RAYTRAIN_LOCAL_CLUSTER"
# The clock that tells when a process began ticks 100 times a second.
_SAME_MOMENT_S = 0.05
# The kernel ends what was killed once it has a moment for it.
_KILLED_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process that may have ended since: its pid, and when it began.

    Attributes:
        began: in seconds since the epoch, as far as the system's clock is now what it was then.
        since_boot: in seconds since the machine booted, whatever becomes of its clock; None where that is not told, or
            was not asked for yet.
    """

    pid: int
    began: float
    since_boot: float | None = None
    name: str = ""


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs."""
    import psutil

    try:
        known, now = process.since_boot, _since_boot(process.pid)
        found = psutil.Process(process.pid)
        if known is None or now is None:
            known, now = process.began, found.create_time()
        return abs(now - known) < _SAME_MOMENT_S and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def cluster_processes(mark: str, *, session: int | None) -> list[psutil.Process]:
    """The processes of the cluster that was started with `mark`, this process and its ancestors left out.

    Args:
        mark: the value of `MARK` in the environment that the cluster was started with.
        session: the session id that it was started in; None when it may have become another's since.
    """
    import psutil

    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if _has_mark(process, mark) or (session is not None and session_of(process.pid) == session):
            for member in (process, *_children(process)):
                found.setdefault(member.pid, member)
    ourselves = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for pid, process in found.items() if pid not in ourselves]


def session_of(pid: int) -> int | None:
    """The session id of a process; None when it has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def end(processes: list[psutil.Process], *, grace_s: float) -> list[psutil.Process]:
    """Asks the processes to end, makes those that have not after `grace_s`, and gives those that even so remain."""
    import psutil

    for process in processes:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(processes, timeout=grace_s)
    for process in stubborn:
        _signal(process.kill)
    _, left = psutil.wait_procs(stubborn, timeout=_KILLED_WITHIN_S)
    return [process for process in left if _runs(process)]


def identify(process: psutil.Process) -> ProcessId | None:
    import psutil

    try:
        began, since_boot = process.create_time(), _since_boot(process.pid)
        return ProcessId(pid=process.pid, began=began, since_boot=since_boot, name=process.name())
    except psutil.Error:
        return None


def _since_boot(pid: int) -> float | None:
    """How long after the machine's boot a process began; None on systems other than Linux, or where it has ended.

    Linux counts from the boot (proc_pid_stat(5), field 22), and psutil's `create_time` adds when that was by the clock,
    which is another moment once the clock was set. Elsewhere a process keeps the time of day at which it began.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # from the third on
    except OSError:
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _signal(send: Callable[[], None]) -> None:
    import psutil

    try:
        send()
    except psutil.Error:
        return


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _has_mark(process: psutil.Process, mark: str) -> bool:
    import psutil

    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
