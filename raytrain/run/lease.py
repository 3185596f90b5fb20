"""Which attempt may write a run's directory: a file an attempt, claimed once, renewed while its driver lives.

The attempt's number is the fencing token: a driver that sees a higher one claimed has lost the run and ends itself. So
two drivers never write one directory for longer than a renewal takes, also where a cluster that was given up comes
back. In a directory the file is claimed by creating it (O_EXCL, which NFS has, too), in an object store as
`raytrain.run.store_claim` says; there leases are written and read directly, not by way of a process's copy.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePath
from time import monotonic, sleep
from uuid import uuid4

from raytrain.files import write_whole
from raytrain.periodic import Periodic
from raytrain.run.job_log import say
from raytrain.run.object_store import ObjectStore, join
from raytrain.run.run_paths import RunPaths
from raytrain.run.store_claim import claim_object

RENEW_S = 2.0
# A driver that misses so many renewals is gone. What one takes it notes itself, since a store may need seconds for it.
MISSES = 6
_LONGEST_RENEWAL_S = 60.0
_LOOK_AGAIN_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One attempt's claim; those of earlier versions lack the last fields, those of later ones may have more.

    Attributes:
        pid: means something on the `host` in that `boot`, which names the processes' namespace as well.
        beat: grows with every renewal.
        every_s: how long the holder takes from one renewal to the next.
        token: the claimant's own.
    """

    attempt: int
    host: str = ""
    boot: str = ""
    pid: int = 0
    beat: int = 0
    released: bool = False
    every_s: float = RENEW_S
    token: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the holder is known to have ended; False where that cannot be told from this machine."""
        if self.released:
            return True
        return (self.host, self.boot) == _here() and not _is_alive(self.pid)


class LeaseTaken(Exception):
    """Another driver has claimed this attempt or a later one."""


def read_leases(paths: RunPaths) -> list[Lease]:
    """The claims of all attempts, the first first, as far as the storage answers."""
    found = []
    with contextlib.suppress(OSError):
        for attempt in _attempts(paths):
            found.append(Lease(attempt=attempt))
            with contextlib.suppress(OSError):
                found[-1] = _read(paths, attempt)
    return found


def claim(paths: RunPaths, attempt: int) -> Lease:
    """Claims the directory for this process, then waits until no earlier attempt's driver can write any more.

    Raises:
        LeaseTaken: the attempt, or a later one, is another driver's.
        OSError: the storage does not answer.
    """
    host, boot = _here()
    lease = Lease(attempt=attempt, host=host, boot=boot, pid=os.getpid(), token=uuid4().hex)
    if not _create(paths, lease):
        raise LeaseTaken(f"attempt {attempt} of {paths.run} has a driver already")
    for earlier in _attempts_before(paths, attempt):
        wait_until_over(paths, _read(paths, earlier))
    _attempts_before(paths, attempt)  # this one may have waited for longer than a later attempt waits for it
    return lease


def wait_until_over(paths: RunPaths, lease: Lease, *, renewals: float = math.inf) -> bool:
    """Waits until a claim's holder has ended or misses `MISSES` renewals; False once it was seen to renew `renewals`.

    Only looks count, not the time between them: neither a storage that does not answer nor a watcher that stood still
    makes a holder miss anything.

    Raises:
        OSError: the storage has not answered for as many looks as a holder may miss.
    """
    missed = failed = renewed = 0
    while not lease.is_over and missed < MISSES and renewed < renewals:
        try:
            now = _watch(paths, lease)
        except OSError:
            missed, failed = 0, failed + 1
            if failed >= MISSES:
                raise
            sleep(lease.every_s)
            continue
        missed, failed, renewed = (missed + 1, 0, renewed) if now == lease else (0, 0, renewed + 1)
        lease = now
    return lease.is_over or missed >= MISSES


class LeaseKeeper:
    """A context that renews a lease from a thread of its own.

    Args:
        lost: called, in that thread, once a later attempt has claimed the directory.
    """

    def __init__(self, paths: RunPaths, lease: Lease, lost: Callable[[int], None], *, every_s: float = RENEW_S) -> None:
        self._paths, self._lease, self._lost, self._every_s = paths, lease, lost, every_s
        self._failing = False
        self._renewed_at = monotonic()
        self._renewing = Periodic(self._renew, every_s=every_s, name="raytrain-lease")

    def __enter__(self) -> LeaseKeeper:
        self._renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._renewing.end()
        self._try_to_write(replace(self._lease, released=True))

    def _renew(self) -> None:
        with contextlib.suppress(OSError):  # which the write will meet as well
            last = max(_attempts(self._paths), default=0)
            if last > self._lease.attempt:
                self._renewing.stop()
                self._lost(last)
                return
        now = monotonic()
        # A pause that does not come again is forgotten by halves.
        every_s = max(self._every_s, now - self._renewed_at, self._lease.every_s / 2)
        renewed = replace(self._lease, beat=self._lease.beat + 1, every_s=min(every_s, _LONGEST_RENEWAL_S))
        if self._try_to_write(renewed):
            self._lease, self._renewed_at = renewed, now

    def _try_to_write(self, lease: Lease) -> bool:
        """Storage that fails for a moment costs a renewal, of which one in six is enough."""
        try:
            _write(self._paths, lease)
        except OSError as error:
            if not self._failing:
                say(f"warning: the run's lease cannot be renewed, trying again: {error}")
            self._failing = True
            return False
        self._failing = False
        return True


def _attempts_before(paths: RunPaths, attempt: int) -> list[int]:
    attempts = _attempts(paths)
    if (last := max(attempts, default=0)) > attempt:
        raise LeaseTaken(f"attempt {last} of {paths.run} was begun after attempt {attempt}")
    return [earlier for earlier in attempts if earlier < attempt]


def _attempts(paths: RunPaths) -> list[int]:
    """The attempts that have been claimed, in order."""
    names = [file.name for file in paths.leases.iterdir()] if paths.uri is None else _store(paths).names()
    return sorted(int(path.stem) for path in map(PurePath, names) if path.suffix == ".json" and path.stem.isdigit())


def _watch(paths: RunPaths, lease: Lease) -> Lease:
    """The lease as soon as it has changed or its holder has ended, else after the time of a renewal."""
    began = monotonic()
    while True:
        sleep(min(_LOOK_AGAIN_S, lease.every_s))
        now = _read(paths, lease.attempt)
        if now != lease or now.is_over or monotonic() - began >= lease.every_s:
            return now


def _read(paths: RunPaths, attempt: int) -> Lease:
    """A claim; nothing but its number is known of one whose driver has not written it yet."""
    name = _name(attempt)
    try:
        text = (paths.leases / name).read_bytes() if paths.uri is None else _store(paths).read(name) or b""
        found = json.loads(text)
        known = {field.name for field in fields(Lease)}
        return Lease(**{name: value for name, value in found.items() if name in known})
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return Lease(attempt=attempt)


def _create(paths: RunPaths, lease: Lease) -> bool:
    if paths.uri is not None:
        return claim_object(_store(paths), _name(lease.attempt), _text(lease).encode())
    paths.leases.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(paths.leases / _name(lease.attempt), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    _write(paths, lease)
    return True


def _write(paths: RunPaths, lease: Lease) -> None:
    if paths.uri is not None:
        _store(paths).write(_name(lease.attempt), _text(lease).encode())
    else:
        write_whole(paths.leases / _name(lease.attempt), _text(lease))


def _store(paths: RunPaths) -> ObjectStore:
    assert paths.uri is not None
    return ObjectStore(join(paths.uri, paths.leases.name))


def _name(attempt: int) -> str:
    return f"{attempt}.json"


def _text(lease: Lease) -> str:
    return json.dumps(asdict(lease))


def _here() -> tuple[str, str]:
    """This machine's name, and ids of its present boot and of this process's namespace of pids; empty without any.

    Containers of one machine may share its name and boot, and number their processes each for itself.
    """
    ids = ["", ""]
    with contextlib.suppress(OSError):
        ids = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), str(Path("/proc/self/ns/pid").readlink())]
    return socket.gethostname(), "/".join(ids).strip("/")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
