"""Extends a run that has ended: a new run of its job goes on from its whole state, with its history."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from raytrain.client.attempts import goes_on
from raytrain.client.job_changes import changes, refuse_changes
from raytrain.client.kept_requests import submitted_request
from raytrain.client.registry import RunRecord
from raytrain.client.resume import job_again
from raytrain.client.run_directory import runs_checkpoints
from raytrain.client.run_view import RunView
from raytrain.client.submit import Progress, Submitted, submit
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.run.summary import RunSummary
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest, StoredRun

# What may change beside what a run may be resumed with: no state of the run's own depends on it.
_MAY_CHANGE = ("name", "early_stopping")


def extend(
    record: RunRecord,
    *,
    overrides: Sequence[str] = (),
    force: bool = False,
    address: str | None = None,
    submitted_at: float | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Submitted:
    """Submits a new run of a run's job, as it was submitted, that goes on where the run has ended.

    It begins with the run's weights, optimizer, callbacks' and early stopping's state and number of epochs; its history
    has the run's epochs first. The run itself is left as it is.

    Args:
        record: the run, which has ended.
        overrides: `--set` arguments; fit.epochs counts from the first epoch of the run that is extended.
        force: take changes of the spec as meant.
        address: what `--address` was given.
        submitted_at: when the user's command began; now when left out.
        environ: this process's own environment when left out.
        progress: told in a few words what is being done.

    Raises:
        UsageError: the run goes on, or no epoch is left to train.
        NotFound: it has no checkpoint, or how it was submitted is nowhere to be found.
        SpecError: the overrides change what decides the answer, or are refused.
        ClusterError: as `submit`.
    """
    environ = os.environ if environ is None else environ
    summary = RunView(record).look()
    if not summary.status.is_terminal:
        raise goes_on(record.run, f"which is {summary.status}")
    request = submitted_request(record, environ)
    with job_again(record, request, job=None, overrides=overrides, as_submitted=True) as (loaded, base_model, job_file):
        _refuse_nothing_left(loaded.spec, summary)
        _refuse_without_checkpoint(record)
        refuse_changes(_changes(request, loaded.spec), force=force)
        return submit(
            loaded,
            base_model=base_model,
            job_file=job_file,
            address=address,
            extended_from=StoredRun(run=record.run, storage=request.storage),
            initialised_from=request.initialised_from,
            overrides=[*request.overrides, *overrides],
            submitted_at=submitted_at,
            environ=environ,
            progress=progress,
        )


def _changes(request: JobRequest, spec: JobSpec) -> list[Problem]:
    return [
        replace(problem, fix="leave it as it was, or --force takes it as meant")
        for problem in changes(request, spec, request.files)
        if not any(problem.field == name or problem.field.startswith(f"{name}.") for name in _MAY_CHANGE)
    ]


def _refuse_nothing_left(spec: JobSpec, summary: RunSummary) -> None:
    done = max(summary.epochs, default=-1) + 1
    if spec.fit.epochs <= done:
        raise UsageError(
            Problem(
                field="fit.epochs",
                got=f"{spec.fit.epochs}, and {done} epochs of {summary.run} are done",
                expected="more than are done: epochs are counted from the first of the run that is extended",
                fix=f"--set fit.epochs={done + 10}, say",
            )
        )


def _refuse_without_checkpoint(record: RunRecord) -> None:
    """Where its directory is in sight here; else the cluster tells."""
    if runs_checkpoints(record) == []:
        raise NotFound(
            Problem(
                got=f"run {record.run} without a checkpoint in {record.storage}",
                expected="a run that has saved one, at an epoch's end",
                fix="init_from in a new job begins with a saved model",
            )
        )
