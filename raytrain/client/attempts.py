"""The attempts of a run, as its jobs, its leases and this machine tell: which is the last, and whether it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter

from raytrain.client.cluster_runs import attempt_of, jobs_of
from raytrain.client.registry import RunRecord, remembered
from raytrain.errors import Problem, StateUnknown, UsageError
from raytrain.run.lease import MISSES, Lease, read_leases, wait_until_over
from raytrain.run.run_paths import RunPaths

# A driver has written the run's last line some seconds before Ray notices that its job is over.
_JOB_ENDS_WITHIN_S = 15.0
_LOOK_AGAIN_S = 0.5


def next_attempt(record: RunRecord, *, submitted: int, seen: int) -> tuple[int, bool]:
    """The number of the run's next attempt, and whether the run's own cluster answers.

    Args:
        record: the run.
        submitted: the last attempt that it is known how to submit.
        seen: the last attempt that its log tells of.

    Raises:
        UsageError: an attempt goes on.
    """
    deadline = time.monotonic() + _JOB_ENDS_WITHIN_S
    jobs, answers = jobs_of(record)
    while going := [job for job in jobs if not job.status.is_terminal]:
        last = max(going, key=attempt_of)
        if time.monotonic() >= deadline or attempt_of(last) > seen:  # of which no log has told that it is over
            raise goes_on(record.run, f"which goes on: its job {last.submission_id} is {last.status}")
        time.sleep(_LOOK_AGAIN_S)
        jobs, answers = jobs_of(record)
    leases = read_leases(RunPaths.of(record.storage, record.run)) if record.storage else []
    if leases:
        _refuse_living_driver(record, leases[-1])
    attempts = [*map(attempt_of, jobs), *(lease.attempt for lease in leases)]
    return max(seen, record.attempt, submitted, *attempts) + 1, answers


def _refuse_living_driver(record: RunRecord, lease: Lease) -> None:
    try:
        is_over = wait_until_over(RunPaths.of(record.storage, record.run), lease, renewals=MISSES)
    except OSError as error:
        got = f"{record.storage}, which does not say whether the driver of attempt {lease.attempt} lives: {error}"
        raise StateUnknown(Problem(got=got, expected="a storage that can be read")) from error
    if not is_over:
        raise goes_on(
            record.run, f"which goes on: the driver of attempt {lease.attempt} on {lease.host} renews its lease"
        )


def later_attempt(record: RunRecord, attempt: int, environ: Mapping[str, str] | None = None) -> RunRecord | None:
    """The run as its last attempt, where that was submitted after `attempt`, by whichever command; else None."""
    alike = remembered(environ, beginning=record.run)
    known = max((record, *(item for item in alike if item.run == record.run)), key=attrgetter("attempt"))
    jobs, _ = jobs_of(known)
    leases = read_leases(RunPaths.of(record.storage, record.run)) if record.storage else []
    last = max(attempt, known.attempt, *map(attempt_of, jobs), *(lease.attempt for lease in leases))
    return replace(record, address=known.address, attempt=last) if last > attempt else None


def overtaken(record: RunRecord, attempt: int) -> UsageError:
    """The attempt that was to be submitted is another command's."""
    return goes_on(record.run, f"which goes on: its attempt {attempt} was submitted by another command")


def goes_on(run: str, how: str) -> UsageError:
    """A run that has not ended cannot be taken up; `how` follows on its id."""
    fix = f"raytrain watch {run} follows it, raytrain stop {run} ends it"
    return UsageError(Problem(got=f"{run}, {how}", expected="a run that has ended", fix=fix))
