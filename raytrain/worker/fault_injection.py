"""Faults that tests inject: `RAYTRAIN_FAULT="rank=1,epoch=2,step=7,kind=kill"`.

Runs in: every Train worker; the driver reads the kind that is its own. Imports nothing heavy.

A fault fires once a run, when `step` steps of `epoch` (counted from 0) are done on `rank`; what concerns storage fires
on the chief at the first checkpoint from there on, and `bind` before the workers join. Refused unless
RAYTRAIN_ALLOW_FAULTS=1 stands beside it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raytrain.errors import Problem, UserCodeError
from raytrain.worker import process_setup

VARIABLE = "RAYTRAIN_FAULT"
ALLOW = "RAYTRAIN_ALLOW_FAULTS"
IN_STEPS = ("exception", "kill", "stop", "exit", "nan")
IN_STORAGE = ("enospc", "truncate", "slow-upload")
KINDS = (*IN_STEPS, *IN_STORAGE, "bind", "driver-kill")
DRIVER = -1  # stands for a rank where the driver injects
_MARK = ".fault-fired"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is to go wrong, where.

    Attributes:
        seconds: how long storage is out of order or slow.
        group: fires only in this worker group of an attempt, where given.
    """

    kind: str
    rank: int = 0
    epoch: int = 0
    step: int = 0
    seconds: float = 60.0
    group: int | None = None

    def is_reached(self, epoch: int, step: int) -> bool:
        return (epoch, step) >= (self.epoch, self.step)


def parse(text: str) -> Fault:
    """The fault that `key=value,…` describes.

    Raises:
        UserCodeError: it is none.
    """
    try:
        pairs = dict(part.strip().split("=", 1) for part in text.split(","))
        whole = {key: int(pairs.pop(key)) for key in ("rank", "epoch", "step", "group") if key in pairs}
        seconds = {"seconds": float(pairs.pop("seconds"))} if "seconds" in pairs else {}
        kind = pairs.pop("kind")
    except (ValueError, KeyError):
        raise _refused(text) from None
    if pairs or kind not in KINDS:
        raise _refused(text)
    return Fault(kind=kind, **whole, **seconds)  # type: ignore[arg-type]


def from_environment(environment: Mapping[str, str]) -> Fault | None:
    """The fault asked for, if any.

    Raises:
        UserCodeError: it is no fault, or faults are not allowed.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        return None
    if environment.get(ALLOW) != "1":
        raise UserCodeError(
            Problem(
                field="environment.env_vars",
                got=f"{VARIABLE}, which makes this run fail on purpose",
                expected=f"it in tests only, with {ALLOW}=1 beside it",
            )
        )
    return parse(text)


class Injector:
    """Lets the fault happen when its time has come, once a run: what it has done stands in a file of the run.

    Args:
        fault: None makes every call do nothing.
        root: the run's directory.
        group: this worker group's number within the attempt.

    Attributes:
        taken: the socket that keeps a port from TensorFlow.
    """

    def __init__(self, fault: Fault | None, *, root: Path, rank: int, group: int = 0) -> None:
        meant = fault is not None and (fault.group is None or fault.group == group)
        self._fault = fault if meant else None
        self._root = root
        self._rank = rank
        self._until = 0.0
        self.taken: socket.socket | None = None

    def kind_at(self, epoch: int, step: int) -> str:
        """The kind of the fault that is to happen to this rank now, marked as done; empty when none is."""
        fault = self._fault
        if fault is None or fault.kind not in IN_STEPS or fault.rank != self._rank:
            return ""
        return fault.kind if fault.is_reached(epoch, step) and self._mark() else ""

    def take_port(self, address: str) -> None:
        """Listens on this worker's port, so that TensorFlow cannot, where that is the fault."""
        fault = self._fault
        if fault is None or fault.kind != "bind" or fault.rank != self._rank or not self._mark():
            return
        process_setup.release_port()
        host, _, port = address.rpartition(":")
        self.taken = socket.create_server((host.strip("[]"), int(port)), reuse_port=False)

    def strike_driver(self, epoch: int, step: int) -> None:
        """Kills the driver, where that is the fault, once a rank has come so far."""
        fault = self._fault
        if fault is not None and fault.kind == "driver-kill" and fault.is_reached(epoch, step) and self._mark():
            os.kill(os.getpid(), signal.SIGKILL)

    def on_write(self, epoch: int, step: int, point: str) -> None:
        """Called between any two steps of writing a checkpoint, taken when `step` steps of `epoch` were done."""
        fault = self._fault
        if fault is None or fault.kind not in IN_STORAGE:
            return
        if fault.is_reached(epoch, step) and self._until == 0.0 and self._mark():
            self._until = time.monotonic() + fault.seconds
        if time.monotonic() >= self._until:
            return
        if fault.kind == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if fault.kind == "slow-upload":
            time.sleep(max(0.0, self._until - time.monotonic()))
        if fault.kind == "truncate" and point == "renamed":
            self._truncate_newest()

    def _truncate_newest(self) -> None:
        """What storage that lies leaves behind: a checkpoint that was committed and is cut all the same."""
        self._until = 0.001
        newest = max((self._root / "checkpoints").glob("epoch-*/variables.npz"), key=lambda path: path.stat().st_mtime)
        os.truncate(newest, newest.stat().st_size // 2)

    def _mark(self) -> bool:
        """Whether this is the first time; a file in the run's directory says so to later groups and attempts."""
        try:
            os.close(os.open(self._root / _MARK, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            self._fault = None
            return False
        return True


def act(kind: str) -> None:
    """Does to this process what `kind` says."""
    match kind:
        case "exception":
            raise RuntimeError("an injected fault")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "exit":
            os._exit(1)


def _refused(text: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field=f"environment.env_vars.{VARIABLE}",
            got=f"`{text}`",
            expected=f"rank=…,epoch=…,step=…,kind=… (seconds=…,group=…), kind one of {', '.join(KINDS)}",
        )
    )
