"""Joins a run's event log and its job's status into one stream, which ends only when the run truly has.

The log is read from the run's directory where this machine sees it, else through the cluster's log API, where the
driver keeps a mirror of it. The job's status is asked for about once a second. What the two add up to is decided by
`judge`, a pure function; the code around it only gathers its facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from raytrain.client.event_source import EventSource
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterError, Failure, NotFound, Problem, StateUnknown
from raytrain.run.events import Event, GroupStarted, RunFinished
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason, RunStatus

# How long a job may have ended before the log's last line is missed: the network's and NFS' caches, the log mirror.
GRACE_S = 6.0
# How long a cluster may be out of reach before we say so, and before we say that we do not know.
_SILENCE_S = 10.0
PATIENCE_S = 60.0

_READ_EVERY_S = 0.2
_ASK_EVERY_S = 1.0
_ASK_LATER_EVERY_S = 3.0
_MESSAGE_TAIL_LINES = 20

# What Ray calls the failure of a job, where it was not the driver that failed.
_REASON_OF_ERROR_TYPE = {
    "RUNTIME_ENV_SETUP_FAILURE": Reason.ENVIRONMENT,
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": Reason.RESOURCES,
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": Reason.RESOURCES,
}


class Jobs(Protocol):
    """The part of the cluster's API that watching needs; `raytrain.cluster.jobs_api.JobsApi` has it."""

    def job(self, submission_id: str) -> JobInfo:
        """Raises NotFound where the cluster knows no such job, ClusterError where it cannot be asked."""

    def event_lines(self, submission_id: str) -> list[str]:
        """The complete lines of the driver's mirror of the event log; none where there is no mirror yet."""


class Idle:
    """Nothing new; lets whoever reads the stream show how long it has been waiting, or stop."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of a run at one moment.

    Attributes:
        finished: the log's last line, when it is the run's last.
        started: whether the log has begun, so that the driver runs or has run.
        job: the job's status as last heard; None before the first answer, and where the cluster does not know the job.
        job_message: Ray's own words beside it.
        job_error_type: Ray's kind of the job's failure.
        job_missing_s: for how long the cluster has answered that there is no such job; None when it knows the job.
        job_ended_s: for how long the job has been over; None while it is not.
        unheard_s: for how long neither the cluster answered nor the log grew.
    """

    finished: RunFinished | None = None
    started: bool = False
    job: RunStatus | None = None
    job_message: str = ""
    job_error_type: str | None = None
    job_missing_s: float | None = None
    job_ended_s: float | None = None
    unheard_s: float = 0.0


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


@dataclass(frozen=True, kw_only=True)
class StatusChange(Verdict):
    """A new verdict, which is final in the last item of a stream, and in no other."""

    run: str
    attempt: int
    time: float


def judge(facts: Facts, *, grace_s: float = GRACE_S, patience_s: float = PATIENCE_S) -> Verdict:
    """The run's status from the log's word, the job's, and for how long each has been silent."""
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
        return Verdict(status=RunStatus.UNKNOWN, final=True, message="the cluster does not answer")
    running = facts.started or facts.job not in (None, RunStatus.PENDING)
    status = RunStatus.RUNNING if running else RunStatus.PENDING
    if facts.unheard_s >= _SILENCE_S:
        return Verdict(status=status, silent=True, message="the cluster does not answer; trying again")
    return Verdict(status=status, message=facts.job_message)


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


class Gatherer:
    """Gathers the facts of one run, step by step.

    Attributes:
        answered: whether the cluster did when asked last.
        unanswered: why it did not; empty when it did, or is not known.
    """

    def __init__(
        self,
        run: str,
        *,
        attempt: int = 1,
        paths: RunPaths | None = None,
        jobs: Jobs | None = None,
        unanswered: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run, self.attempt, self.clock, self._jobs = run, attempt, clock, jobs
        self._source = EventSource(paths, jobs)
        self.answered, self.unanswered = False, unanswered
        self._finished: RunFinished | None = None
        self._started = False
        self._job: JobInfo | None = None
        self._heard_at = clock()
        self._missing_since: float | None = None
        self._ended_since: float | None = None

    def step(self, *, ask: bool) -> list[Event]:
        """The events since the last step, and the job's status where it is asked for.

        The log is read once more after the job was asked: a driver writes its last line before it ends, so what is
        missing in the log of a job that is over will not come any more. A run whose log has ended needs no cluster.
        """
        events = list(self._read()) if self._source.is_local else []
        if ask and self._finished is None:
            self.answered = self._ask()
            events += self._read()
        return events

    def _ask(self) -> bool:
        if self._jobs is None:
            return False
        try:
            self._job = self._jobs.job(submission_id(self.run, self.attempt))
        except NotFound:
            self.unanswered = ""
            self._missing_since = self._missing_since or self.clock()
            self._heard_at = self.clock()
            return True
        except ClusterError as error:
            self.unanswered = str(error)
            return False
        self.unanswered = ""
        self._heard_at, self._missing_since = self.clock(), None
        self._ended_since = (self._ended_since or self.clock()) if self._job.status.is_terminal else None
        return True

    def _read(self) -> Iterator[Event]:
        """The new events; none while the cluster that keeps them cannot be asked."""
        try:
            for event in self._source.new(submission_id(self.run, self.attempt)):
                self._note(event)
                yield event
        except (ClusterError, NotFound):
            return

    def _note(self, event: Event) -> None:
        """What an earlier attempt came to counts no more: the run goes on as the last one."""
        self._heard_at = self.clock()
        if event.attempt < self.attempt:
            return
        self._started = True
        if isinstance(event, GroupStarted) or event.attempt > self.attempt:
            self._finished = None
        if event.attempt > self.attempt:
            self.attempt, self._job, self._ended_since, self._missing_since = event.attempt, None, None, None
        if isinstance(event, RunFinished):
            self._finished = event

    def facts(self) -> Facts:
        now = self.clock()
        return Facts(
            finished=self._finished,
            started=self._started,
            job=self._job.status if self._job else None,
            job_message=self._job.message if self._job else "",
            job_error_type=self._job.error_type if self._job else None,
            job_missing_s=None if self._missing_since is None else now - self._missing_since,
            job_ended_s=None if self._ended_since is None else now - self._ended_since,
            unheard_s=now - self._heard_at,
        )


def look(gatherer: Gatherer) -> tuple[list[Event], Verdict]:
    """One look, without waiting: every event there is, and the verdict on what is known now."""
    events = gatherer.step(ask=True)
    return events, judge(gatherer.facts(), grace_s=0.0, patience_s=float("inf") if gatherer.answered else 0.0)


def watch(
    gatherer: Gatherer, *, patience_s: float = PATIENCE_S, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event | StatusChange | Idle]:
    """Every event of the run, and every change of its status; the last item is a StatusChange that is final.

    Raises:
        StateUnknown: the run has not ended as far as we know, and the cluster has been silent for `patience_s`.
    """
    asks, next_ask, shown = 0, 0.0, None
    while True:
        ask = gatherer.clock() >= next_ask
        events = gatherer.step(ask=ask)
        if ask:
            asks += 1
            next_ask = gatherer.clock() + (_ASK_EVERY_S if asks < 60 else _ASK_LATER_EVERY_S)
        yield from events
        facts = gatherer.facts()
        verdict = judge(facts, grace_s=GRACE_S, patience_s=patience_s)
        if verdict.final and verdict.status is RunStatus.UNKNOWN and facts.finished is None:
            raise _unknown(gatherer, verdict)
        if verdict != shown:
            shown = verdict
            yield StatusChange(run=gatherer.run, attempt=gatherer.attempt, time=time.time(), **vars(verdict))
        if verdict.final:
            return
        if not events:
            yield Idle()
        sleep(_READ_EVERY_S)


def _unknown(gatherer: Gatherer, verdict: Verdict) -> StateUnknown:
    run, why = gatherer.run, f" ({gatherer.unanswered})" if gatherer.unanswered else ""
    got = f"{verdict.message}{why}, and the log of {run} does not say how it ended"
    expected = "a cluster that answers, or a run directory with the run's last event"
    fix = f"raytrain status {run} asks again; --address names another address of the cluster"
    return StateUnknown(Problem(got=got, expected=expected, fix=fix))
