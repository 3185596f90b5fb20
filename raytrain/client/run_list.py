"""How the runs on record stand, read off each run's `status.json`; clusters are asked only of runs not seen to end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from typing import Any

from raytrain.client.find_run import recalled, runs_in
from raytrain.client.pulled_files import pull_status
from raytrain.client.registry import RunRecord, newest
from raytrain.client.watch import Facts, judge
from raytrain.cluster.auth import find_token
from raytrain.cluster.http import Transport
from raytrain.cluster.jobs_api import JobInfo, JobsApi
from raytrain.errors import ClusterError
from raytrain.run.event_log import read_events
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import summarize

# A list is to be quick: a cluster that takes longer counts as one that does not answer.
_CONNECT_TIMEOUT_S = 1.0
_READ_TIMEOUT_S = 3.0

_FIELDS = (
    "run",
    "name",
    "status",
    "reason",
    "attempts",
    "workers",
    "epochs",
    "epochs_planned",
    "metrics",
    "test",
    "best",
    "storage",
)

_KINDS = {"status": str, "reason": str | None, "attempts": int, "metrics": dict}


def standings(*, limit: int | None = None, storage: str | None = None) -> tuple[list[dict[str, Any]], int]:
    """The latest `limit` runs, the newest first, as the objects of `list --json`; and how many there are in all.

    Args:
        limit: all of them when None.
        storage: the runs of this directory, instead of this machine's index.

    Raises:
        NotFound: there is no such storage.
    """
    if storage:
        records = recalled(runs_in(storage))
        shown, total = records[::-1][:limit], len(records)
    else:
        shown, total = newest(limit)
    stored = {record.run: _stored(record) for record in shown}
    open_runs = [record for record in shown if not _ended(stored[record.run], record)]
    jobs = _jobs_of(record.address for record in open_runs if record.address)
    rows = [
        _row(record, stored[record.run])
        if _ended(stored[record.run], record)
        else _open_row(record, stored[record.run], jobs.get(record.address))
        for record in shown
    ]
    return rows, total


def _stored(record: RunRecord) -> dict[str, Any]:
    """The run's `status.json`, or what its events add up to where that is none; empty where there is neither."""
    if not record.storage:
        return {}
    paths = RunPaths.of(record.storage, record.run)
    pull_status(paths)
    with contextlib.suppress(OSError, ValueError):
        body = json.loads(paths.status.read_text())
        if _is_status(body):
            return dict(body)
    events = read_events(paths.events)
    return summarize(record.run, events).to_json() if events else {}


def _is_status(body: Any) -> bool:
    """Whether it has the form of a `status.json`, as far as a list makes use of it."""
    if not isinstance(body, dict) or not all(isinstance(body.get(name), kind) for name, kind in _KINDS.items()):
        return False
    return all(isinstance(value, int | float | None) for value in body["metrics"].values())


def _ended(stored: dict[str, Any], record: RunRecord) -> bool:
    """Whether the run's last attempt has ended as far as its directory tells."""
    if int(stored.get("attempts") or 1) < record.attempt:
        return False
    return stored.get("status") in [str(status) for status in RunStatus if status.is_terminal]


def _jobs_of(addresses: Iterable[str]) -> dict[str, dict[str, JobInfo] | None]:
    """The jobs of each cluster by submission id; None for a cluster that does not answer."""
    answers: dict[str, dict[str, JobInfo] | None] = {}
    for url in dict.fromkeys(addresses):
        try:
            token = find_token(os.environ)
            http = Transport(url, token=token, connect_timeout_s=_CONNECT_TIMEOUT_S, read_timeout_s=_READ_TIMEOUT_S)
            answers[url] = {job.submission_id: job for job in JobsApi(url, transport=http).jobs()}
        except ClusterError:
            answers[url] = None
    return answers


def _open_row(record: RunRecord, stored: dict[str, Any], jobs: dict[str, JobInfo] | None) -> dict[str, Any]:
    """A run whose directory does not say that it ended: its job has the last word, and without that nobody."""
    attempt = max(record.attempt, int(stored.get("attempts") or 1))
    job = (jobs or {}).get(submission_id(record.run, attempt))
    verdict = judge(
        Facts(
            started=bool(stored),
            job=job.status if job else None,
            job_message=job.message if job else "",
            job_error_type=job.error_type if job else None,
            job_ended_s=0.0 if job and job.status.is_terminal else None,
            job_missing_s=0.0 if jobs is not None and job is None else None,
            unheard_s=0.0 if jobs is not None else float("inf"),
        ),
        grace_s=0.0,
        patience_s=1.0,
    )
    is_old = attempt > int(stored.get("attempts") or 1)  # the present attempt has not said a word yet
    status = verdict.status if verdict.final or is_old else stored.get("status", verdict.status)
    reason = verdict.reason or (None if is_old else stored.get("reason"))
    return _row(record, stored) | {"status": str(status), "reason": reason, "attempts": attempt}


def _row(record: RunRecord, stored: dict[str, Any]) -> dict[str, Any]:
    directory = RunPaths.of(record.storage, record.run).shown() if record.storage else None
    known: dict[str, Any] = {"run": record.run, "name": record.name, "metrics": {}, "storage": directory}
    row = dict.fromkeys(_FIELDS) | known | {name: stored[name] for name in _FIELDS if name in stored}
    return row | {"submitted_at": record.submitted_at or None, "address": record.address or None}
