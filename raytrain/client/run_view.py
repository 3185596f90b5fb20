"""A run as far as it is known: what its events add up to, joined with what its cluster says."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from raytrain.client.cluster_runs import attempt_of, dashboard_page, jobs_of
from raytrain.client.event_source import sees_log
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of
from raytrain.client.run_state import Verdict, join
from raytrain.client.watch import Gatherer, Idle, StatusChange, look
from raytrain.cluster.connect import connect_to
from raytrain.cluster.jobs_api import JobsApi
from raytrain.errors import ClusterError
from raytrain.run.events import Event
from raytrain.run.run_id import submission_id
from raytrain.run.run_status import RunStatus
from raytrain.run.step_progress import StepProgress
from raytrain.run.summary import RunSummary

_LOOK_EVERY_S = 1.0  # at the file of how far the ranks are


class RunView:
    """One run, of which more is known with every look, and with every item of its stream.

    Attributes:
        record: where the run is to be found, as its last attempt.
        gatherer: where its facts come from.

    Args:
        summary: what is known of it before; it grows.

    Raises:
        ClusterError: no log is in sight here, and the cluster may not be asked: its token is not to be had, or not to
            be sent.
    """

    def __init__(self, record: RunRecord, summary: RunSummary | None = None) -> None:
        self.record = record
        self.gatherer = gatherer_of(record)
        self._summary = summary or begun(record)
        self._verdict = Verdict(status=RunStatus.PENDING)
        self._progress: StepProgress | None = None
        self._next_look = 0.0

    @property
    def attempt(self) -> int:
        return self.gatherer.attempt

    @property
    def summary(self) -> RunSummary:
        """How the run stands, as far as it is known."""
        summary = join(self._summary, self._verdict, attempt=self.attempt)
        summary.progress = self._progress_of(summary)
        return summary

    def _progress_of(self, summary: RunSummary) -> StepProgress | None:
        """How far the epoch is that goes on now; None where the file tells of another, or the run has ended."""
        directory = directory_of(self.record)
        if directory is None or summary.status is not RunStatus.RUNNING:
            return None
        if monotonic() >= self._next_look:
            self._next_look, self._progress = monotonic() + _LOOK_EVERY_S, StepProgress.read(directory.progress)
        known, next_epoch = self._progress, next(reversed(summary.epochs), -1) + 1
        fits = known is not None and (known.attempt, known.epoch) == (summary.attempts, next_epoch)
        return known if fits else None

    def look(self) -> RunSummary:
        """How the run stands now, after one look; UNKNOWN when it has not ended and its cluster does not answer."""
        for _ in self.look_at_events():
            pass
        return self.summary

    def look_at_events(self) -> Iterator[Event]:
        """The events of one look, each once it is added to what is known."""
        events, self._verdict = look(self.gatherer)
        for event in events:
            self._summary.add(event)
            yield event

    def take(self, item: Event | StatusChange | Idle) -> None:
        """Adds an item of the run's stream to what is known."""
        if isinstance(item, Event):
            self._summary.add(item)
        elif isinstance(item, StatusChange):
            self._verdict = item

    def take_up(self, record: RunRecord) -> None:
        """Goes on with a later attempt of the run.

        Raises:
            ClusterError: as for a new view.
        """
        self.record, self._verdict = record, Verdict(status=RunStatus.PENDING)
        self.gatherer.take_up(record.attempt, connect_to(record.address))


def begun(record: RunRecord) -> RunSummary:
    """What the record alone says of the run."""
    directory = directory_of(record)
    submission = submission_id(record.run, record.attempt)
    return RunSummary(
        run=record.run,
        name=record.name,
        storage=directory.shown() if directory else None,
        submitted_at=record.submitted_at or None,
        dashboard_url=dashboard_page(record.address, submission) if record.address else None,
    )


def gatherer_of(record: RunRecord) -> Gatherer:
    """Gathers the facts of the run from its directory and its cluster; from one of them where the other is shut.

    Raises:
        ClusterError: as for a view.
    """
    directory, jobs, unanswered = directory_of(record), None, ""
    try:
        jobs = connect_to(record.address) if record.address else None
    except ClusterError as error:
        if not sees_log(directory):
            raise
        unanswered = str(error)
    attempt = _last_attempt(record, jobs)
    return Gatherer(record.run, attempt=attempt, paths=directory, jobs=jobs, unanswered=unanswered)


def _last_attempt(record: RunRecord, jobs: JobsApi | None) -> int:
    """The run's log tells of later attempts; where this machine does not see it, the cluster's jobs do."""
    if jobs is None or sees_log(directory_of(record)):
        return record.attempt
    return max([record.attempt, *map(attempt_of, jobs_of(record)[0])])
