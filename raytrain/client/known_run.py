"""A run as the command line names it: found, read, and asked about."""

from __future__ import annotations

import os
from dataclasses import replace

from raytrain.cli.follow import absorb
from raytrain.client.event_source import sees_log
from raytrain.client.find_run import find_run, latest_attempt, recalled, runs_of_jobs
from raytrain.client.log_tail import FetchedTail, FileTail, Tail
from raytrain.client.pulled_files import pull_log, refresh
from raytrain.client.registry import RunRecord
from raytrain.client.submit import dashboard_page
from raytrain.client.watch import Gatherer, look
from raytrain.cluster.connect import connect_to, locate
from raytrain.cluster.jobs_api import JobsApi
from raytrain.errors import ClusterError, NotFound, Problem
from raytrain.run.object_store import is_object_store
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary


def find(ref: str, *, address: str | None = None, storage: str | None = None, goes_on: bool = False) -> RunRecord:
    """The run that `ref` names: by this machine's index, then the cluster's jobs, then `--storage`.

    `--address` and `--storage` count before what the index remembers.

    Args:
        ref: what the user calls it.
        address: what `--address` was given.
        storage: what `--storage` was given.
        goes_on: `--address` is where the run is to go on; where it ran before is remembered, if that is known.

    Raises:
        NotFound: there is no such run.
        UsageError: several runs begin with `ref`, or it is empty.
    """
    record = find_run(ref, on_cluster=lambda: _runs_of_cluster(address), storage=storage)
    if not record.address:
        [record] = recalled([record])
    if address and not (goes_on and record.address):
        record = replace(record, address=locate(address).url)
    if storage and (is_object_store(storage) or os.path.isdir(RunPaths.of(storage, record.run).root)):
        record = replace(record, storage=storage)
    refresh(record)
    return record


def connect(record: RunRecord) -> JobsApi:
    """The cluster that the run was submitted to.

    Raises:
        NotFound: it is not known which.
    """
    if not record.address:
        raise NotFound(
            Problem(
                got=f"{record.run}, of which only the directory is known",
                expected="the cluster that it runs on",
                fix="name it with --address",
            )
        )
    return connect_to(record.address)


def paths(record: RunRecord) -> RunPaths | None:
    """The run's directory as its cluster sees it; it may be out of this machine's sight."""
    return RunPaths.of(record.storage, record.run) if record.storage else None


def gatherer(record: RunRecord) -> Gatherer:
    """Gathers the facts of the run from its directory and its cluster; from one of them where the other is shut.

    Raises:
        ClusterError: no log is in sight here, and the cluster may not be asked: its token is not to be had, or not to
            be sent.
    """
    directory, jobs, unanswered = paths(record), None, ""
    try:
        jobs = connect_to(record.address) if record.address else None
    except ClusterError as error:
        if not sees_log(directory):
            raise
        unanswered = str(error)
    attempt = _last_attempt(record, jobs)
    return Gatherer(record.run, attempt=attempt, paths=directory, jobs=jobs, unanswered=unanswered)


def _last_attempt(record: RunRecord, jobs: JobsApi | None) -> int:
    """The run's log tells of later attempts; where this machine does not see it, the cluster's jobs do."""
    if jobs is None or sees_log(paths(record)):
        return record.attempt
    try:
        return max(record.attempt, latest_attempt(record.run, jobs.jobs()))
    except ClusterError:
        return record.attempt


def begun(record: RunRecord) -> RunSummary:
    """What the record alone says of the run."""
    directory = paths(record)
    return RunSummary(
        run=record.run,
        name=record.name,
        storage=directory.shown() if directory else None,
        attempts=record.attempt,
        submitted_at=record.submitted_at or None,
        dashboard_url=dashboard_page(record.address, record.run) if record.address else None,
    )


def seen_now(record: RunRecord, gathering: Gatherer | None = None) -> RunSummary:
    """The run as it stands, after one look; UNKNOWN when it has not ended and its cluster does not answer."""
    summary = begun(record)
    gathering = gathering or gatherer(record)
    events, verdict = look(gathering)
    for event in events:
        absorb(summary, event)
    if verdict.final:
        summary.conclude(verdict.status, reason=verdict.reason, error=verdict.error)
        if verdict.message and verdict.status in (RunStatus.UNKNOWN, RunStatus.SUCCEEDED):
            why = f" ({gathering.unanswered})" if gathering.unanswered else ""
            summary.warnings.append(f"{verdict.message}{why}")
    elif summary.status is RunStatus.PENDING:
        summary.status = verdict.status
    elif summary.status.is_terminal:  # an earlier attempt ended, and the present one has not said a word yet
        summary.status, summary.reason, summary.error = verdict.status, None, None
    summary.attempts = max(summary.attempts, gathering.attempt)
    return summary


def job_log(record: RunRecord, attempt: int = 1) -> Tail | None:
    """What the driver prints, as the cluster has it; None where no cluster is known."""
    if not record.address:
        return None
    return FetchedTail(lambda: connect_to(record.address).logs(submission_id(record.run, attempt)))


def log_tail(record: RunRecord, *, attempt: int, rank: int | None, follow: bool) -> Tail:
    """The log of one rank, or of the driver when `rank` is None: the run's directory's, else the cluster's.

    Raises:
        NotFound: there is no such log.
        ClusterError: only the cluster has it, and does not answer.
    """
    directory = paths(record)
    if directory is not None:
        path = directory.driver_log(attempt) if rank is None else directory.rank_log(attempt, rank)
        pull_log(directory, path)
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


def _runs_of_cluster(address: str | None) -> list[RunRecord]:
    """The runs of the cluster that a job would go to; none where that is yet to be started."""
    where = locate(address)
    return [] if where.starts_local else runs_of_jobs(connect_to(where.url).jobs(), where.url)
