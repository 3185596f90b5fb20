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

_LAST_WORDS_S = 5.0


@contextlib.contextmanager
def copy_output(path: Path) -> Iterator[None]:
    """Until the block ends, whatever goes to file descriptors 1 and 2 also goes to `path`, appended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush()
    with path.open("ab", buffering=0) as log:
        copies = [_Copy(descriptor, log.fileno()) for descriptor in (1, 2)]
        try:
            yield
        finally:
            _flush()
            for copy in copies:
                copy.end()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the user's code may have closed or removed it
            stream.flush()


class _Copy:
    """One file descriptor that is replaced by a pipe, and the thread that empties it to where it went and the log.

    The thread ends when nobody holds the pipe any more: after `end` as a rule, later where a process that was started
    in between lives on and writes to it, earlier where the code has closed the descriptor. So it writes to descriptors
    of its own.
    """

    def __init__(self, descriptor: int, log: int) -> None:
        self._descriptor = descriptor
        self._original = os.dup(descriptor)
        self._targets = (os.dup(descriptor), os.dup(log))
        self._reads, writes = os.pipe()
        os.dup2(writes, descriptor)
        os.close(writes)
        self._thread = threading.Thread(target=self._pump, name=f"raytrain-log-{descriptor}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        os.dup2(self._original, self._descriptor)
        os.close(self._original)
        self._thread.join(timeout=_LAST_WORDS_S)

    def _pump(self) -> None:
        while chunk := os.read(self._reads, 65536):
            for target in self._targets:
                with contextlib.suppress(OSError):  # a full disk or a closed pipe must not block those who write
                    os.write(target, chunk)
        for descriptor in (self._reads, *self._targets):
            os.close(descriptor)
