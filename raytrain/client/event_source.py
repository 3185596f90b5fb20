"""Where a run's events are read from: its directory, a copy of it, or the cluster's mirror of its log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from raytrain.client.run_directory import CopiedLog
from raytrain.run.event_json import from_line, to_line
from raytrain.run.event_log import EventReader
from raytrain.run.events import Event
from raytrain.run.run_paths import RunPaths


class Mirrors(Protocol):
    """The part of the cluster's API that reading needs; `raytrain.cluster.jobs_api.JobsApi` has it."""

    def event_lines(self, submission_id: str) -> list[str]:
        """The complete lines of the driver's mirror of the event log; none where there is no mirror yet."""


def sees_log(paths: RunPaths | None) -> bool:
    """Whether this machine sees a run's event log, and this user may read it."""
    return paths is not None and os.access(paths.events, os.R_OK)


class EventSource:
    """Reads a run's events from its directory where this machine sees it, else from the cluster's mirror of them.

    A run may be read from the mirror first and from its directory once that shows up; no event is given twice. A
    directory in an object store is seen through a copy, which is renewed as it is read.

    Attributes:
        jobs: the cluster that has the mirror; None where none is known.
    """

    def __init__(self, paths: RunPaths | None, jobs: Mirrors | None) -> None:
        self._copy = CopiedLog(paths) if paths and paths.uri else None
        self._reader = EventReader(paths.events) if paths else None
        self._paths = paths
        self.jobs = jobs
        self._mirror = ""
        self._lines_read = 0
        self._given_from_mirror: set[str] = set()

    @property
    def is_local(self) -> bool:
        return sees_log(self._paths)

    def new(self, mirror: str) -> Iterator[Event]:
        """The events since the last call; `mirror` is the submission id whose mirror to read."""
        if self._copy is not None:
            self._copy.renew()
        if self._reader is not None and self.is_local:
            given = self._given_from_mirror  # without any, as a rule: then no line is put together to be looked up
            yield from (event for event in self._reader.new() if not given or to_line(event) not in given)
        elif self.jobs is not None:
            yield from self._new_in_mirror(self.jobs, mirror)

    def _new_in_mirror(self, jobs: Mirrors, mirror: str) -> Iterator[Event]:
        if mirror != self._mirror:
            self._mirror, self._lines_read = mirror, 0
        lines = jobs.event_lines(mirror)[self._lines_read :]
        self._lines_read += len(lines)
        for event in filter(None, map(from_line, lines)):
            line = to_line(event)
            if line not in self._given_from_mirror:
                self._given_from_mirror.add(line)
                yield event
