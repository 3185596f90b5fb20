"""Asks a run to stop: politely, or at once."""

from __future__ import annotations

import os

from raytrain.client.cluster_runs import cluster_of
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of, put
from raytrain.run.run_id import submission_id


def stop(record: RunRecord, attempt: int, *, now: bool = False) -> tuple[str, ...]:
    """Asks the run's present attempt to stop; the workers finish their step and save a checkpoint.

    Args:
        record: the run.
        attempt: the number of its present attempt.
        now: kill the workers at once, without a checkpoint.

    Returns:
        What the user should know, though the run was asked.

    Raises:
        NotFound: its cluster, or the cluster its job, is not known.
        ClusterError: the cluster does not answer.
    """
    warnings = _ask_at_once(record) if now else ()
    cluster_of(record).stop(submission_id(record.run, attempt))
    return warnings


def _ask_at_once(record: RunRecord) -> tuple[str, ...]:
    """Leaves the sign that the driver looks for; the Jobs API knows one kind of stop only."""
    directory = directory_of(record)
    why = "is out of sight here"
    if directory is not None and os.path.isdir(directory.root):
        try:
            directory.stop_now.touch()
            put(directory, directory.stop_now)
            return ()
        except OSError as error:
            why = f"cannot be written ({error.strerror or error})"
    return (f"the directory of {record.run} {why}, so it is stopped politely",)
