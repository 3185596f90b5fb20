"""Joins a run's event log and its job's status into one stream, which ends only when the run truly has.

The log is read from the run's directory where this machine sees it, else through the cluster's log API, where the
driver keeps a mirror of it. The job's status is asked for about once a second. What the two add up to is decided in
`raytrain.client.run_state`; this only gathers the facts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from raytrain.client.event_source import EventSource, Mirrors
from raytrain.client.run_state import GRACE_S, PATIENCE_S, Facts, Verdict, judge
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterError, NotFound, Problem, StateUnknown
from raytrain.run.events import SCHEMA_VERSION, Event, GroupStarted, RunFinished
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus

_READ_EVERY_S = 0.2
_ASK_EVERY_S = 1.0
_ASK_LATER_EVERY_S = 3.0


class Jobs(Mirrors, Protocol):
    """The part of the cluster's API that watching needs; `raytrain.cluster.jobs_api.JobsApi` has it."""

    def job(self, submission_id: str) -> JobInfo:
        """Raises NotFound where the cluster knows no such job, ClusterError where it cannot be asked."""


class Idle:
    """Nothing new; lets whoever reads the stream show how long it has been waiting, or stop."""


@dataclass(frozen=True, kw_only=True)
class StatusChange(Verdict):
    """A new verdict, which is final in the last item of a stream, and in no other."""

    type: ClassVar[str] = "status"
    run: str
    attempt: int
    time: float

    def to_dict(self) -> dict[str, Any]:
        """As `watch --json` prints it among the events."""
        return {"schema_version": SCHEMA_VERSION, "type": self.type, **asdict(self)}


class Gatherer:
    """Gathers the facts of one run's present attempt, step by step.

    Attributes:
        attempt: its number.
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
        self.run, self.clock, self._jobs = run, clock, jobs
        self._source = EventSource(paths, jobs)
        self.answered, self.unanswered = False, unanswered
        self._begin(attempt)

    def _begin(self, attempt: int) -> None:
        """Of an attempt that begins nothing is known."""
        self.attempt = attempt
        self._finished: RunFinished | None = None
        self._started = False
        self._job: JobInfo | None = None
        self._heard_at = self.clock()
        self._missing_since: float | None = None
        self._ended_since: float | None = None

    def take_up(self, attempt: int, jobs: Jobs | None) -> None:
        """Goes on with a later attempt, maybe on another cluster; no event is given twice."""
        self._jobs = self._source.jobs = jobs
        self._begin(attempt)

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
        if event.attempt > self.attempt:
            self._begin(event.attempt)
        self._started = True
        if isinstance(event, GroupStarted):
            self._finished = None
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
            unanswered=self.unanswered,
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
        StateUnknown: after that item, where the run has not ended as far as we know, and the cluster has been silent
            for `patience_s`, or knows no job of it.
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
        if verdict != shown:
            shown = verdict
            yield StatusChange(run=gatherer.run, attempt=gatherer.attempt, time=time.time(), **vars(verdict))
        if verdict.final and verdict.status is RunStatus.UNKNOWN and facts.finished is None:
            raise _unknown(gatherer.run, verdict)
        if verdict.final:
            return
        if not events:
            yield Idle()
        sleep(_READ_EVERY_S)


def _unknown(run: str, verdict: Verdict) -> StateUnknown:
    got = f"{verdict.message}, and the log of {run} does not say how it ended"
    expected = "a cluster that answers, or a run directory with the run's last event"
    fix = f"raytrain status {run} asks again; --address names another address of the cluster"
    return StateUnknown(Problem(got=got, expected=expected, fix=fix))
