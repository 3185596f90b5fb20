"""How a run stands: what its events add up to, joined with what its cluster says. Pure; nothing else decides it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from raytrain.errors import Failure
from raytrain.run.events import RunFinished
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary

# How long a job may have ended before the log's last line is missed: the network's and NFS' caches, the log mirror.
GRACE_S = 6.0
# How long a cluster may be out of reach before we say so, and before we say that we do not know.
_SILENCE_S = 10.0
PATIENCE_S = 60.0

_MESSAGE_TAIL_LINES = 20

# What Ray calls the failure of a job, where it was not the driver that failed.
_REASON_OF_ERROR_TYPE = {
    "RUNTIME_ENV_SETUP_FAILURE": Reason.ENVIRONMENT,
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": Reason.RESOURCES,
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": Reason.RESOURCES,
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of a run's present attempt at one moment.

    Attributes:
        finished: the log's last line, when it is the run's last.
        started: whether the log has begun, so that the driver runs or has run.
        job: the job's status as last heard; None before the first answer, and where the cluster does not know the job.
        job_message: Ray's own words beside it.
        job_error_type: Ray's kind of the job's failure.
        job_missing_s: for how long the cluster has answered that there is no such job; None when it knows the job.
        job_ended_s: for how long the job has been over; None while it is not.
        unheard_s: for how long neither the cluster answered nor the log grew.
        unanswered: why the cluster did not; empty where that is not known.
    """

    finished: RunFinished | None = None
    started: bool = False
    job: RunStatus | None = None
    job_message: str = ""
    job_error_type: str | None = None
    job_missing_s: float | None = None
    job_ended_s: float | None = None
    unheard_s: float = 0.0
    unanswered: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the facts add up to; UNKNOWN and final means that nothing more can be learned.

    Attributes:
        silent: neither the cluster nor the log has been heard of for a while.
    """

    status: RunStatus
    final: bool = False
    silent: bool = False
    reason: str | None = None
    message: str = ""
    error: Failure | None = None


def judge(facts: Facts, *, grace_s: float = GRACE_S, patience_s: float = PATIENCE_S) -> Verdict:
    """The attempt's status from the log's word, the job's, and for how long each has been silent."""
    if (last := facts.finished) is not None:
        status = RunStatus.of(last.status)
        message = "" if status == last.status else f"the run has ended as {last.status}, a word of a later raytrain's"
        return Verdict(status=status, final=True, reason=last.reason, error=last.error, message=message)
    if facts.job_missing_s is not None and facts.job_missing_s >= grace_s:
        return Verdict(status=RunStatus.UNKNOWN, final=True, message="the cluster knows no such job any more")
    never_ran = facts.job_error_type in _REASON_OF_ERROR_TYPE
    if facts.job_ended_s is not None and (facts.job_ended_s >= grace_s or never_ran):
        return _as_the_job_says(facts)
    if facts.unheard_s >= patience_s:
        why = f" ({facts.unanswered})" if facts.unanswered else ""
        return Verdict(status=RunStatus.UNKNOWN, final=True, message=f"the cluster does not answer{why}")
    running = facts.started or facts.job not in (None, RunStatus.PENDING)
    status = RunStatus.RUNNING if running else RunStatus.PENDING
    if facts.unheard_s >= _SILENCE_S:
        return Verdict(status=status, silent=True, message="the cluster does not answer; trying again")
    return Verdict(status=status, message=facts.job_message)


def join(summary: RunSummary, verdict: Verdict, *, attempt: int) -> RunSummary:
    """How a run stands: status, reason, error, warnings and attempts of its events and of its cluster together.

    Args:
        summary: what the events add up to. It stays as it is; the result has the same epochs.
        verdict: on the present attempt.
        attempt: that attempt's number.
    """
    state = replace(summary, attempts=max(summary.attempts, attempt), warnings=[*summary.warnings])
    is_new = attempt > summary.attempts  # it has not said a word yet
    if is_new or (summary.status.is_terminal and not verdict.final):  # what the attempt before came to ends nothing
        state.status, state.reason, state.error = RunStatus.PENDING, None, None
    if not verdict.final:
        state.status = verdict.status if state.status is RunStatus.PENDING else state.status
        return state
    state.conclude(verdict.status, reason=verdict.reason, error=verdict.error)
    if verdict.message and verdict.status in (RunStatus.UNKNOWN, RunStatus.SUCCEEDED):
        state.warnings.append(verdict.message)
    return state


def _as_the_job_says(facts: Facts) -> Verdict:
    """The job is over and its driver left no last line: it was stopped, it died, or its log cannot be read."""
    assert facts.job is not None
    if facts.job is RunStatus.SUCCEEDED:
        message = "the job succeeded, but the end of its event log was not seen"
        return Verdict(status=facts.job, final=True, reason=Reason.COMPLETED, message=message)
    if facts.job is RunStatus.STOPPED:
        return Verdict(status=facts.job, final=True, reason=Reason.STOPPED_BY_USER, message=facts.job_message)
    reason = _REASON_OF_ERROR_TYPE.get(facts.job_error_type or "", Reason.DRIVER_LOST)
    tail = facts.job_message.strip().splitlines()[-_MESSAGE_TAIL_LINES:]
    message = "\n".join(tail) or "the job failed without a message"
    if reason is Reason.DRIVER_LOST:
        message = f"the driver ended without reporting a result; Ray says: {message}"
    failure = Failure(kind=str(reason), message=message)
    return Verdict(status=facts.job, final=True, reason=reason, message=message, error=failure)
