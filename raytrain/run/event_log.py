"""The file that holds a run's events: append to it, read it, follow it.

Only the driver appends; everyone else reads. A line counts once its newline is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from raytrain.run.event_json import from_line, to_line
from raytrain.run.events import Event


class EventWriter:
    """Appends events to one file; a torn last line, left by a writer that was killed, is closed first.

    What the disk does not take is kept, and written before what is appended next.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self._file = path.open("ab", buffering=0)
        self._unwritten = b"\n" if torn else b""

    def append(self, event: Event) -> None:
        """Writes an event.

        Raises:
            OSError: the disk does not take it now.
        """
        self._unwritten += (to_line(event) + "\n").encode()
        self._write()

    def close(self) -> None:
        """Closes the file, after one more attempt at what could not be written so far.

        Raises:
            OSError: the disk does not take it, and it is lost.
        """
        if self._file.closed:
            return
        try:
            self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        while self._unwritten:
            written = self._file.write(self._unwritten)
            self._unwritten = self._unwritten[written:]


class EventReader:
    """Reads a growing log piece by piece: every call of `new` yields what was completed since the last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new(self) -> Iterator[Event]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except OSError:
            return  # to this reader there is no such log, yet or for now
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = from_line(line.decode("utf-8", errors="replace"))
            if event is not None:
                yield event


def read_events(path: Path) -> list[Event]:
    return list(EventReader(path).new())
