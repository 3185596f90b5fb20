"""Tells the parent of a check's process what the process is doing, and that it has come on.

Runs in: every process of a check. Imports nothing heavy.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from raytrain.files import write_whole

_LOOK_EVERY_S = 0.05


class Progress:
    """Where a process is, in a file that is written anew whenever it has come on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = 0

    def reach(self, phase: str) -> None:
        """Says what is being done from now on."""
        self._turn += 1
        write_whole(self._path, f"{self._turn} {phase}")

    def wait_for(self, files: Iterable[Path]) -> None:
        """Returns once all are there; the parent ends this process if that is not to be."""
        for file in files:
            while not file.exists():
                time.sleep(_LOOK_EVERY_S)
