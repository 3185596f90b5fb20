"""The runs on record and how they stand, read off their directories; clusters are asked only of runs that may go on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raytrain.client.registry import RunRecord, newest
from raytrain.client.run_directory import directory_of
from raytrain.client.run_state import Facts, join, judge
from raytrain.client.stored_runs import recalled, runs_in
from raytrain.client.stored_status import StoredStatus, stored_status
from raytrain.cluster.auth import Tokens
from raytrain.cluster.http import Transport
from raytrain.cluster.jobs_api import JobInfo, JobsApi
from raytrain.errors import ClusterError
from raytrain.run.events import SCHEMA_VERSION
from raytrain.run.run_id import parse_run_id, submission_id
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary

# A list is to be quick: a cluster that takes longer counts as one that does not answer.
_CONNECT_TIMEOUT_S = 1.0
_READ_TIMEOUT_S = 3.0

Jobs = Mapping[str, JobInfo]


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of a list: where it is to be found, what its directory says of it, and how it stands in short."""

    record: RunRecord
    stored: StoredStatus
    state: RunSummary

    def to_dict(self) -> dict[str, Any]:
        record, stored, state, directory = self.record, self.stored, self.state, directory_of(self.record)
        return {
            "run": record.run,
            "name": stored.name or record.name,
            "status": state.status,
            "reason": state.reason,
            "attempts": state.attempts,
            "workers": stored.workers,
            "epochs": stored.epochs,
            "epochs_planned": stored.epochs_planned,
            "metrics": stored.metrics,
            "test": stored.test,
            "best": asdict(stored.best) if stored.best else None,
            "storage": stored.storage or (directory.shown() if directory else None),
            "submitted_at": record.submitted_at or None,
            "address": record.address or None,
        }


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The latest runs, the newest first; `total`: how many there are in all."""

    rows: tuple[RunRow, ...]
    total: int

    def to_dict(self) -> dict[str, Any]:
        """As `list --json` prints it."""
        return {"schema_version": SCHEMA_VERSION, "runs": [row.to_dict() for row in self.rows]}


def list_runs(
    *, limit: int | None = None, storage: str | None = None, name: str | None = None, status: str | None = None
) -> RunList:
    """The latest `limit` runs.

    Args:
        limit: all of them when None.
        storage: the runs of this directory, instead of this machine's index.
        name: those of this job alone.
        status: those that stand so.

    Raises:
        NotFound: there is no such storage.
    """
    if storage:
        records = recalled(runs_in(storage))[::-1]
        shown, total = records, len(records)
    else:
        shown, total = newest(None if name or status else limit)
    if name:
        shown = [record for record in shown if _job_name(record) == name]
    rows = _rows(shown if status else shown[:limit])
    if status:
        rows = [row for row in rows if row.state.status == status]
    return RunList(rows=tuple(rows[:limit]), total=len(rows) if name or status else total)


def _job_name(record: RunRecord) -> str:
    named = parse_run_id(record.run)
    return record.name or (named[0] if named else "")


def row_of(record: RunRecord) -> RunRow:
    """One run, told as quickly as a list tells it."""
    return _rows([record])[0]


def _rows(records: Iterable[RunRecord]) -> list[RunRow]:
    found = [(record, stored_status(record)) for record in records]
    jobs = _jobs_of(record.address for record, stored in found if record.address and not _ended(record, stored))
    return [_row(record, stored, jobs.get(record.address)) for record, stored in found]


def _ended(record: RunRecord, stored: StoredStatus | None) -> bool:
    """Whether the run's last attempt has ended as far as its directory tells."""
    return stored is not None and stored.attempts >= record.attempt and RunStatus.of(stored.status).is_terminal


def _jobs_of(addresses: Iterable[str]) -> dict[str, Jobs | None]:
    """The jobs of each cluster by submission id; None for a cluster that does not answer."""
    answers: dict[str, Jobs | None] = {}
    for url in dict.fromkeys(addresses):
        try:
            tokens = Tokens(os.environ)
            http = Transport(url, tokens=tokens, connect_timeout_s=_CONNECT_TIMEOUT_S, read_timeout_s=_READ_TIMEOUT_S)
            answers[url] = {job.submission_id: job for job in JobsApi(url, transport=http).jobs()}
        except ClusterError:
            answers[url] = None
    return answers


def _row(record: RunRecord, stored: StoredStatus | None, jobs: Jobs | None) -> RunRow:
    """Its cluster is heard only where its directory does not say that the run has ended."""
    state = RunSummary(run=record.run)
    if stored:
        state.status, state.reason, state.attempts = RunStatus.of(stored.status), stored.reason, stored.attempts
    if not _ended(record, stored):
        state = _joined(record, state, started=stored is not None, jobs=jobs)
    return RunRow(record=record, stored=stored or StoredStatus(), state=state)


def _joined(record: RunRecord, summary: RunSummary, *, started: bool, jobs: Jobs | None) -> RunSummary:
    attempt = max(record.attempt, summary.attempts)
    job = (jobs or {}).get(submission_id(record.run, attempt))
    facts = Facts(
        started=started,
        job=job.status if job else None,
        job_message=job.message if job else "",
        job_error_type=job.error_type if job else None,
        job_ended_s=0.0 if job and job.status.is_terminal else None,
        job_missing_s=0.0 if jobs is not None and job is None else None,
        unheard_s=0.0 if jobs is not None else float("inf"),
    )
    return join(summary, judge(facts, grace_s=0.0, patience_s=1.0), attempt=attempt)
