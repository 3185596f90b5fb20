"""Keeps a run's directory in an object store up to date with the local one that a process writes.

Runs in: a thread of the driver and of every Train worker, where the run's storage is an object store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from raytrain.periodic import Periodic
from raytrain.run.object_store import ObjectStore

_EVERY_S = 2.0
_LAST_TRIES_S = 120.0


class Mirror:
    """A context: files that change in `local` are pushed within seconds, and the last of them when it is left.

    A store that cannot be reached holds nobody up: what could not be pushed is tried again at the next round.

    Args:
        skip: folders that are pushed by whoever writes them.
        notice: is given a sentence when pushing begins to fail, and when it works again.

    Attributes:
        missing: after the end, the files that could not be pushed.
    """

    def __init__(
        self,
        local: Path,
        store: ObjectStore,
        *,
        notice: Callable[[str], None],
        skip: tuple[str, ...] = ("checkpoints", "attempts"),
        every_s: float = _EVERY_S,
        last_tries_s: float = _LAST_TRIES_S,
    ) -> None:
        self._local = local
        self._store = store
        self._notice = notice
        self._skip = skip
        self._every_s = every_s
        self._last_tries_s = last_tries_s
        self._pushed: dict[Path, tuple[int, int]] = {}
        self._failing = False
        self._pushing = Periodic(self._push_changed, every_s=every_s, name="raytrain-mirror")
        self.missing: list[str] = []

    def __enter__(self) -> Self:
        self._pushing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pushing.end()
        deadline = monotonic() + self._last_tries_s
        while (left := self._push_changed()) and monotonic() < deadline:
            sleep(self._every_s)
        self.missing = left

    def _push_changed(self) -> list[str]:
        """Pushes what has changed since it was pushed last; returns what could not be."""
        left: list[str] = []
        for file in self._files():
            name = file.relative_to(self._local).as_posix()
            try:
                state = file.stat()
            except FileNotFoundError:  # renamed or removed a moment ago
                continue
            version = (state.st_mtime_ns, state.st_size)
            if self._pushed.get(file) == version:
                continue
            if left or not self._push(file, name):
                left.append(name)
            else:
                self._pushed[file] = version
        return left

    def _files(self) -> list[Path]:
        """All files but hidden ones and those of skipped folders, which come and go while this looks."""
        found: list[Path] = []
        for folder, folders, files in os.walk(self._local):
            if Path(folder) == self._local:
                folders[:] = [name for name in folders if name not in self._skip]
            found += [Path(folder, name) for name in files if not name.startswith(".")]
        return sorted(found)

    def _push(self, file: Path, name: str) -> bool:
        try:
            self._store.push(file, name)
        except OSError as error:
            if not self._failing:
                self._notice(f"{self._store.uri} cannot be written, trying again: {error}")
            self._failing = True
            return False
        if self._failing:
            self._notice(f"{self._store.uri} can be written again")
        self._failing = False
        return True
