"""Joins a run's event log and its job's status into one stream, which ends only when the run truly has.

The log is read from the run's directory where this machine sees it, else through the cluster's log API, where the
driver keeps a mirror of it. The job's status is asked for about once a second. What the two add up to is decided by
`judge`, a pure function; the code around it only gathers its facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from raytrain.errors import ClusterError, NotFound, Problem, StateUnknown
from raytrain.events.store import EventReader
from raytrain.events.types import AttemptStarted, Event, RunFinished, from_line, to_line
from raytrain.run import Reason, RunPaths, RunStatus, submission_id

# How long a job may have ended before the log's last line is missed: the network's and NFS' caches, the log mirror.
GRACE_S = 6.0
# How long a cluster may be out of reach before we say that we do not know.
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


class Job(Protocol):
    """What Ray's Jobs API says of one job."""

    @property
    def status(self) -> RunStatus: ...
    @property
    def message(self) -> str: ...
    @property
    def error_type(self) -> str | None: ...


class Jobs(Protocol):
    """The part of the cluster's API that watching needs; `raytrain.cluster.jobs_api.JobsApi` has it."""

    def job(self, submission_id: str) -> Job:
        """Raises NotFound where the cluster knows no such job, ClusterError where it cannot be asked."""

    def event_lines(self, submission_id: str) -> list[str]:
        """The complete lines of the driver's mirror of the event log; none where there is no mirror yet."""


@dataclass(frozen=True, kw_only=True)
class Idle:
    """Nothing new; lets whoever reads the stream show how long it has been waiting, or stop."""

    time: float


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
    """What the facts add up to; UNKNOWN and final means that nothing more can be learned."""

    status: RunStatus
    final: bool = False
    reason: str | None = None
    message: str = ""
    error: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StatusChange(Verdict):
    """A new verdict. `final` is true of the last item of a stream, and of no other."""

    run: str
    attempt: int
    time: float


def judge(facts: Facts, *, grace_s: float = GRACE_S, patience_s: float = PATIENCE_S) -> Verdict:
    """The run's status from the log's word, the job's, and for how long each has been silent."""
    if facts.finished is not None:
        return _as_logged(facts.finished)
    if facts.job_missing_s is not None and facts.job_missing_s >= grace_s:
        message = "the cluster knows no such job; it may have been restarted since"
        return Verdict(status=RunStatus.UNKNOWN, final=True, message=message)
    if facts.job_ended_s is not None and facts.job_ended_s >= grace_s:
        return _as_the_job_says(facts)
    if facts.unheard_s >= patience_s:
        return Verdict(status=RunStatus.UNKNOWN, final=True, message="the cluster does not answer")
    running = facts.started or facts.job not in (None, RunStatus.PENDING)
    return Verdict(status=RunStatus.RUNNING if running else RunStatus.PENDING, message=facts.job_message)


def _as_logged(finished: RunFinished) -> Verdict:
    return Verdict(status=RunStatus(finished.status), final=True, reason=finished.reason, error=finished.error)


def _as_the_job_says(facts: Facts) -> Verdict:
    """The job is over and its driver left no last line: it was stopped, it died, or its log cannot be read."""
    assert facts.job is not None
    if facts.job is RunStatus.SUCCEEDED:
        message = "the job succeeded, but the end of its event log was not seen"
        return Verdict(status=facts.job, final=True, reason=Reason.COMPLETED, message=message)
    if facts.job is RunStatus.STOPPED:
        return Verdict(status=facts.job, final=True, reason=Reason.STOPPED_BY_USER, message=facts.job_message)
    reason = _REASON_OF_ERROR_TYPE.get(facts.job_error_type or "", Reason.DRIVER_LOST)
    message = _tail(facts.job_message) or "the job failed without a message"
    if reason is Reason.DRIVER_LOST:
        message = f"the driver ended without reporting a result; Ray says: {message}"
    error = {"kind": str(reason), "message": message, "rank": None, "file": None, "line": None, "fix": None}
    return Verdict(status=facts.job, final=True, reason=reason, message=message, error=error | {"traceback": None})


def _tail(message: str) -> str:
    lines = message.strip().splitlines()
    return "\n".join(lines[-_MESSAGE_TAIL_LINES:])


class EventSource:
    """Reads a run's events from its directory where this machine sees it, else from the cluster's mirror of them.

    A run may be read from the mirror first and from its directory once that shows up; no event is given twice.
    """

    def __init__(self, paths: RunPaths | None, jobs: Jobs | None) -> None:
        self._reader = EventReader(paths.events) if paths else None
        self._path = paths.events if paths else None
        self._jobs = jobs
        self._mirror = ""
        self._lines_read = 0
        self._given_from_mirror: set[str] = set()

    @property
    def is_local(self) -> bool:
        return self._path is not None and self._path.exists()

    def new(self, mirror: str) -> Iterator[Event]:
        """The events since the last call; `mirror` is the submission id whose mirror to read."""
        if self._reader is not None and self.is_local:
            yield from (event for event in self._reader.new() if to_line(event) not in self._given_from_mirror)
        elif self._jobs is not None:
            yield from self._new_in_mirror(self._jobs, mirror)

    def _new_in_mirror(self, jobs: Jobs, mirror: str) -> Iterator[Event]:
        if mirror != self._mirror:
            self._mirror, self._lines_read = mirror, 0
        lines = jobs.event_lines(mirror)[self._lines_read :]
        self._lines_read += len(lines)
        for event in filter(None, map(from_line, lines)):
            line = to_line(event)
            if line not in self._given_from_mirror:
                self._given_from_mirror.add(line)
                yield event


class Gatherer:
    """Gathers the facts of one run, look by look."""

    def __init__(
        self,
        run: str,
        *,
        attempt: int = 1,
        paths: RunPaths | None = None,
        jobs: Jobs | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run, self.attempt = run, attempt
        self.clock = clock
        self._jobs = jobs
        self._source = EventSource(paths, jobs)
        self._finished: RunFinished | None = None
        self._started = False
        self._job: Job | None = None
        self._heard_at = clock()
        self._missing_since: float | None = None
        self._ended_since: float | None = None

    @property
    def reads_directory(self) -> bool:
        return self._source.is_local

    def ask(self) -> bool:
        """Asks for the job's status; whether the cluster answered."""
        if self._jobs is None:
            return False
        try:
            self._job = self._jobs.job(submission_id(self.run, self.attempt))
        except NotFound:
            self._missing_since = self._missing_since or self.clock()
            self._heard_at = self.clock()
            return True
        except ClusterError:
            return False
        self._heard_at, self._missing_since = self.clock(), None
        self._ended_since = (self._ended_since or self.clock()) if self._job.status.is_terminal else None
        return True

    def read(self) -> Iterator[Event]:
        """The events since the last call; none while the cluster that keeps them cannot be asked."""
        try:
            for event in self._source.new(submission_id(self.run, self.attempt)):
                self._note(event)
                yield event
        except (ClusterError, NotFound):
            return

    def _note(self, event: Event) -> None:
        self._heard_at = self.clock()
        self._started = True
        if isinstance(event, AttemptStarted) or event.attempt > self.attempt:
            self._finished = None
        if event.attempt > self.attempt:
            self.attempt, self._job, self._ended_since = event.attempt, None, None
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
    """One look, without waiting: every event there is, and the verdict on what is known now.

    The job is asked before the log is read: a driver writes its last line before it ends, so what is missing in the log
    of a job that is over will not come any more.
    """
    answered = gatherer.ask()
    events = list(gatherer.read())
    return events, judge(gatherer.facts(), grace_s=0.0, patience_s=float("inf") if answered else 0.0)


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
        if ask:
            gatherer.ask()
            asks += 1
            next_ask = gatherer.clock() + (_ASK_EVERY_S if asks < 60 else _ASK_LATER_EVERY_S)
        events = list(gatherer.read()) if ask or gatherer.reads_directory else []
        yield from events
        verdict = judge(gatherer.facts(), patience_s=patience_s)
        if verdict.final and verdict.status is RunStatus.UNKNOWN:
            raise _unknown(gatherer.run, verdict)
        if verdict != shown:
            shown = verdict
            yield StatusChange(run=gatherer.run, attempt=gatherer.attempt, time=time.time(), **vars(verdict))
        if verdict.final:
            return
        if not events:
            yield Idle(time=time.time())
        sleep(_READ_EVERY_S)


def _unknown(run: str, verdict: Verdict) -> StateUnknown:
    return StateUnknown(
        Problem(
            got=f"{verdict.message}, and the log of {run} does not say how it ended",
            expected="a cluster that answers, or a run directory with the run's last event",
            fix=f"raytrain status {run} asks again; --address names another address of the cluster",
        )
    )
