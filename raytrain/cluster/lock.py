"""A lock between processes: one of them at a time starts or stops the local cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raytrain.errors import ClusterError, Problem

_POLL_S = 0.05


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Holds the lock of a file, which is made when it is not there; a process that dies lets go of it.

    Raises:
        ClusterError: another process has held it for `timeout_s`.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(_held(path, timeout_s)) from None
                time.sleep(_POLL_S)
        yield


def _held(path: Path, timeout_s: float) -> Problem:
    return Problem(
        got=f"another raytrain that has been starting or stopping the local cluster for {timeout_s:g} s",
        expected="it to be done by now",
        fix=f"look for a raytrain process that hangs; it holds {path}",
    )
