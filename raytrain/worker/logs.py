"""Copies what a process writes to its standard output and error into a log file of the run as well.

Runs in: every Train worker. Works on the file descriptors, so that TensorFlow's own lines are copied too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def copy_output(path: Path) -> Iterator[None]:
    """Until the block ends, whatever goes to file descriptors 1 and 2 also goes to `path`, appended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as log:
        copies = [_Copy(descriptor, log.fileno()) for descriptor in (1, 2)]
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for copy in copies:
                copy.end()


class _Copy:
    """One file descriptor that is replaced by a pipe, and the thread that empties it to where it went and the log."""

    def __init__(self, descriptor: int, log: int) -> None:
        self._descriptor = descriptor
        self._original = os.dup(descriptor)
        self._log = log
        self._reads, writes = os.pipe()
        os.dup2(writes, descriptor)
        os.close(writes)
        self._thread = threading.Thread(target=self._pump, name=f"raytrain-log-{descriptor}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        os.dup2(self._original, self._descriptor)
        self._thread.join(timeout=5)
        os.close(self._original)

    def _pump(self) -> None:
        while chunk := os.read(self._reads, 65536):
            os.write(self._original, chunk)
            with contextlib.suppress(OSError):
                os.write(self._log, chunk)
        os.close(self._reads)
