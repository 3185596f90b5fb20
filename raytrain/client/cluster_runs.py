"""What a cluster's jobs tell of runs: which there are, in how many attempts, and where their pages are."""

from __future__ import annotations

from collections.abc import Iterable

from raytrain.client.registry import RunRecord
from raytrain.cluster.connect import connect_to, locate
from raytrain.cluster.jobs_api import JobInfo, JobsApi
from raytrain.errors import ClusterError, NotFound, Problem
from raytrain.run.run_id import parse_submission_id


def cluster_of(record: RunRecord) -> JobsApi:
    """The cluster that the run was submitted to.

    Raises:
        NotFound: it is not known which.
        ClusterError: its token is not to be had, or not to be sent.
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


def jobs_of(record: RunRecord) -> tuple[list[JobInfo], bool]:
    """The run's jobs on the cluster that it was submitted to, and whether that answers; none where it does not."""
    if not record.address:
        return [], False
    try:
        jobs = connect_to(record.address).jobs()
    except ClusterError:
        return [], False
    return [job for job in jobs if job.metadata.get("raytrain_run") == record.run], True


def attempt_of(job: JobInfo) -> int:
    """Which attempt of its run a job is."""
    return parse_submission_id(job.submission_id)[1]


def runs_of_jobs(jobs: Iterable[JobInfo], address: str) -> list[RunRecord]:
    """The runs among a cluster's jobs, told by their metadata; of a further attempt only its number counts."""
    attempts: dict[str, list[JobInfo]] = {}
    for job in jobs:
        if run := job.metadata.get("raytrain_run"):
            attempts.setdefault(run, []).append(job)
    return [
        RunRecord(
            run=run,
            name=first.metadata.get("job_name", ""),
            address=address,
            storage=first.metadata.get("storage", ""),
            submitted_at=first.start_time or 0.0,
            attempt=max(map(attempt_of, (first, *later))),
        )
        for run, (first, *later) in attempts.items()
    ]


def runs_of_cluster(address: str | None) -> list[RunRecord]:
    """The runs of the cluster that a job would go to, by what `--address` was given; none where it is yet to start.

    Raises:
        UsageError: the address cannot be one of a dashboard.
        ClusterError: the cluster cannot be asked.
    """
    where = locate(address)
    return [] if where.starts_local else runs_of_jobs(connect_to(where.url).jobs(), where.url)


def dashboard_page(url: str, submission: str) -> str:
    """The page of a job in Ray's dashboard."""
    return f"{url}/#/jobs/{submission}"
