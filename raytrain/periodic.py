"""Does something every so often in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Self


class Periodic:
    """A context: `act` is called every `every_s` seconds until it is left, which waits for the call in progress.

    The pause is counted from the end of a call to the next, the first call comes after one pause, and a call that
    takes long delays those that follow instead of piling them up. What `act` raises is printed as what ends a thread
    is, once where it repeats itself, and the calls go on. Errors that are to be expected `act` handles itself.

    Args:
        act: what to do; `stop` ends the calls from within, too.
        name: the thread's.
    """

    def __init__(self, act: Callable[[], object], *, every_s: float, name: str) -> None:
        self._act, self._every_s = act, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Begins, where there is no block to enter."""
        self._thread.start()

    def end(self) -> None:
        """Waits for the call in progress, after which there is none."""
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """No further call begins; one in progress is not waited for."""
        self._ending.set()

    def _run(self) -> None:
        printed = ""
        while not self._ending.wait(self._every_s):
            try:
                self._act()
                printed = ""
            except Exception as error:  # noqa: BLE001  whatever it is, the next call may do better
                if repr(error) != printed:
                    _print(error)
                printed = repr(error)


def _print(error: Exception) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the user's code may have closed the output
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
        )
