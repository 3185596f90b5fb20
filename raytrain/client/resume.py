"""Submits the next attempt of a run; what may be submitted again is decided in `raytrain.client.attempts`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from raytrain.client.attempts import (
    changes,
    fingerprint,
    job_again,
    next_attempt,
    overtaken,
    refuse_changes,
    spec_file_of,
    submitted_request,
)
from raytrain.client.registry import RunRecord
from raytrain.client.submit import Progress, Submitted, prepare, submit


def resume(
    record: RunRecord,
    *,
    seen: int,
    only_next: bool = False,
    job: str | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    address: str | None = None,
    submitted_at: float | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Submitted:
    """Submits a run's next attempt to its own cluster where that answers, else where any job would go.

    Args:
        record: the run.
        seen: the last attempt that its log tells of.
        only_next: submit the attempt after `seen` or none; no user asked for it, and it counts in `restarts.driver`.
        job: where its job is now; where it was when left out.
        overrides: further `--set` arguments.
        force: take changes of spec and code as meant.
        address: what `--address` was given.
        submitted_at: when the user's command began; now when left out.
        environ: this process's own environment when left out.
        progress: told in a few words what is being done.

    Raises:
        UsageError: the run goes on; or the attempt after `seen` is there already, and no other was asked for.
        NotFound: how it was submitted, or its job, is nowhere to be found.
        SpecError: the job has changed, or is refused.
        ClusterError: as `submit`.
    """
    environ = os.environ if environ is None else environ
    request = submitted_request(record, environ)
    attempt, answers = next_attempt(record, request, seen)
    if only_next and attempt > seen + 1:
        raise overtaken(record, seen + 1)
    with job_again(record, request, job=job, overrides=overrides) as (loaded, base_model):
        files = fingerprint(prepare(loaded, environ, base_model=base_model).plan, spec_file_of(loaded))
        refuse_changes(changes(request, loaded, files), force=force)
        return submit(
            loaded,
            base_model=base_model,
            address=address or (record.address if answers else None),
            run=record.run,
            attempt=attempt,
            last_by_user=request.last_by_user if only_next else attempt,
            begun_at=record.submitted_at or None,
            overrides=[*request.overrides, *overrides],
            submitted_at=submitted_at,
            environ=environ,
            progress=progress,
        )
