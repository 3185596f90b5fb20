"""The log of a run's driver or of one worker: of its directory, else of its cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from raytrain.client.log_tail import FetchedTail, FileTail, Tail
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of, pull
from raytrain.client.run_view import gatherer_of
from raytrain.client.watch import watch
from raytrain.cluster.connect import connect_to
from raytrain.errors import NotFound, Problem
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """`rank` is None for the driver."""

    run: str
    attempt: int
    rank: int | None
    line: str

    def __str__(self) -> str:
        return self.line

    def to_dict(self) -> dict[str, Any]:
        """As `logs --json` prints it."""
        return asdict(self)


def logs(
    record: RunRecord,
    *,
    rank: int | None = None,
    attempt: int | None = None,
    tail: int | None = None,
    follow: bool = False,
) -> Iterator[LogLine]:
    """The lines of one log.

    Args:
        record: the run.
        rank: of this worker; of the driver when left out.
        attempt: of this one; of the last when left out.
        tail: begin with so many lines at its end; with the first when left out.
        follow: go on until the run ends.

    Raises:
        NotFound: there is no such log.
        ClusterError: only the cluster has it, and does not answer.
        StateUnknown: as `watch`, while it follows.
    """
    gatherer = gatherer_of(record)
    gatherer.step(ask=False)  # to know which attempt is the last
    of = attempt or gatherer.attempt
    log = _open(record, attempt=of, rank=rank, follow=follow)

    def log_line(line: str) -> LogLine:
        return LogLine(run=record.run, attempt=of, rank=rank, line=line)

    beginning = list(log.new(last=not follow))
    yield from map(log_line, beginning if tail is None else beginning[max(0, len(beginning) - tail) :])
    if follow:
        for _ in watch(gatherer):
            yield from map(log_line, log.new())
        yield from map(log_line, log.new(last=True))


def job_log(record: RunRecord, attempt: int) -> Tail | None:
    """What the driver prints, as the cluster has it; None where no cluster is known."""
    if not record.address:
        return None
    return FetchedTail(lambda: connect_to(record.address).logs(submission_id(record.run, attempt)))


def _open(record: RunRecord, *, attempt: int, rank: int | None, follow: bool) -> Tail:
    directory = directory_of(record)
    if directory is not None:
        path = directory.driver_log(attempt) if rank is None else directory.rank_log(attempt, rank)
        pull(directory, path)
        if os.access(path, os.R_OK) or (follow and rank is not None and os.path.isdir(directory.root)):
            return FileTail(path)
    if rank is not None or not record.address:
        raise _no_log(record, attempt, rank, directory)
    api = connect_to(record.address)
    api.logs(submission_id(record.run, attempt))
    return FetchedTail(lambda: api.logs(submission_id(record.run, attempt)))


def _no_log(record: RunRecord, attempt: int, rank: int | None, directory: RunPaths | None) -> NotFound:
    whose = "the driver" if rank is None else f"rank {rank}"
    if directory is None or not os.path.isdir(directory.root):
        expected = "a run directory that this machine sees"
        fix = "--storage names the directory that holds the runs' directories"
    else:
        logs = directory.attempt_logs(attempt)
        kept = sorted(path.stem for path in logs.glob("*.log")) if os.path.isdir(logs) else []
        expected, fix = f"one of {', '.join(kept)}" if kept else "a log of that attempt", ""
    return NotFound(Problem(got=f"no log of {whose} in attempt {attempt} of {record.run}", expected=expected, fix=fix))
