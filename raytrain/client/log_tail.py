"""The new lines of a log that grows: a file on this machine, or a text that the cluster gives as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from raytrain.errors import ClusterError, NotFound


class Tail(Protocol):
    """Gives each line of a log once, when it is complete."""

    def new(self, *, last: bool = False) -> Iterator[str]:
        """The lines since the last call; with `last`, what stands after the last newline, too."""


class FileTail:
    """Reads on where it stopped; a file that is not there yet, or may not be read, has no lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new(self, *, last: bool = False) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except (FileNotFoundError, PermissionError):
            return
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if last and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        yield from (line.decode("utf-8", errors="replace") for line in lines)


class FetchedTail:
    """Fetches the whole text, every few seconds at most, and gives what is new; none while the cluster is away."""

    def __init__(self, fetch: Callable[[], str], *, every_s: float = 2.0) -> None:
        self._fetch = fetch
        self._every_s = every_s
        self._seen = 0
        self._next_fetch = 0.0

    def new(self, *, last: bool = False) -> Iterator[str]:
        if time.monotonic() < self._next_fetch and not last:
            return
        self._next_fetch = time.monotonic() + self._every_s
        try:
            text = self._fetch()
        except (ClusterError, NotFound):
            return
        *lines, rest = text[self._seen :].split("\n")
        self._seen = len(text) - len(rest)
        yield from lines
        if last and rest:
            self._seen = len(text)
            yield rest
