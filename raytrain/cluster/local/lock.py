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
        ClusterError: another process has held it for `timeout_s`, or the file cannot be made.
    """
    import fcntl

    deadline = time.monotonic() + timeout_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise ClusterError(_unwritable(path, error)) from None
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(_held(path, timeout_s)) from None
                time.sleep(_POLL_S)
        yield


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem(
        got=f"{path}, which cannot be written ({error.strerror or error})",
        expected="a folder in which to keep what is known of the local cluster",
        fix="set RAYTRAIN_STATE_DIR to a folder of yours, or --address to a cluster that runs",
    )


def _held(path: Path, timeout_s: float) -> Problem:
    return Problem(
        got=f"another raytrain that has been starting or stopping the local cluster for {timeout_s:g} s",
        expected="it to be done by now",
        fix=f"look for a raytrain process that hangs; it holds {path}",
    )
