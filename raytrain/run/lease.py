"""Which attempt may write a run's directory: a file an attempt, claimed once, renewed while its driver lives.

The attempt's number is the fencing token: a driver that sees a higher one claimed has lost the run and ends itself. So
two drivers never write one directory for longer than `RENEW_S`, also where a cluster that was given up comes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raytrain.files import write_whole
from raytrain.run.job_log import say
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths

RENEW_S = 2.0
# A driver that has not renewed for so long is gone; clocks are not compared, only whether the file changes.
EXPIRE_S = 12.0
_LOOK_AGAIN_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One attempt's claim. `beat` grows with every renewal; `pid` means something on the `host` of that `boot`."""

    attempt: int
    host: str
    boot: str
    pid: int
    beat: int = 0
    released: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the holder is known to have ended; False where that cannot be told from this machine."""
        if self.released:
            return True
        return (self.host, self.boot) == _here() and not _is_alive(self.pid)


class LeaseTaken(Exception):
    """Another driver has claimed this attempt or a later one."""


def read_leases(paths: RunPaths) -> list[Lease]:
    """The claims of all attempts, the first first; what is no lease is passed over."""
    if paths.uri is not None:
        with contextlib.suppress(OSError):
            ObjectStore(paths.uri).pull_folder(paths.leases.name, paths.leases)
    try:
        files = [file for file in paths.leases.iterdir() if file.stem.isdigit()]
    except OSError:
        return []
    found = []
    for file in sorted(files, key=lambda file: int(file.stem)):
        try:
            found.append(Lease(**json.loads(file.read_text())))
        except (OSError, ValueError, TypeError):  # claimed a moment ago, by a driver that has not written yet
            found.append(Lease(attempt=int(file.stem), host="", boot="", pid=0))
    return found


def claim(paths: RunPaths, attempt: int) -> Lease:
    """Claims the directory for this process, then waits until no earlier attempt's driver can write any more.

    Raises:
        LeaseTaken: the attempt, or a later one, is another driver's.
    """
    host, boot = _here()
    lease = Lease(attempt=attempt, host=host, boot=boot, pid=os.getpid())
    paths.leases.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(_file(paths, attempt), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        raise LeaseTaken(f"attempt {attempt} of {paths.run} has a driver already") from None
    _write(paths, lease)
    others = read_leases(paths)
    if others[-1].attempt > attempt:
        raise LeaseTaken(f"attempt {others[-1].attempt} of {paths.run} was begun after attempt {attempt}")
    for other in others:
        if other.attempt < attempt:
            wait_until_over(paths, other)
    return lease


def wait_until_over(paths: RunPaths, lease: Lease, *, within_s: float = float("inf")) -> bool:
    """Waits until a claim's holder has ended or not renewed for `EXPIRE_S`; False when it lives on for `within_s`."""
    began = changed = time.monotonic()
    while not lease.is_over and time.monotonic() - changed < EXPIRE_S:
        if time.monotonic() - began > within_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
        now = next((other for other in read_leases(paths) if other.attempt == lease.attempt), lease)
        if now != lease:
            lease, changed = now, time.monotonic()
    return True


class LeaseKeeper:
    """A context that renews a lease from a thread of its own.

    Args:
        lost: called, in that thread, once a later attempt has claimed the directory.
    """

    def __init__(self, paths: RunPaths, lease: Lease, lost: Callable[[int], None], *, every_s: float = RENEW_S) -> None:
        self._paths, self._lease, self._lost, self._every_s = paths, lease, lost, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="raytrain-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._try_to_write(replace(self._lease, released=True))

    def _renew(self) -> None:
        while not self._ending.wait(self._every_s):
            later = [lease.attempt for lease in read_leases(self._paths) if lease.attempt > self._lease.attempt]
            if later:
                self._lost(later[-1])
                return
            self._lease = replace(self._lease, beat=self._lease.beat + 1)
            self._try_to_write(self._lease)

    def _try_to_write(self, lease: Lease) -> None:
        """Storage that fails for a moment costs a renewal, of which one in six is enough."""
        try:
            _write(self._paths, lease)
        except OSError as error:
            say(f"warning: the run's lease could not be renewed: {error}")


def _write(paths: RunPaths, lease: Lease) -> None:
    write_whole(_file(paths, lease.attempt), json.dumps(asdict(lease)))


def _file(paths: RunPaths, attempt: int) -> Path:
    return paths.leases / f"{attempt}.json"


def _here() -> tuple[str, str]:
    """This machine's name and an id of its present boot, empty where it has none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return socket.gethostname(), boot


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
