"""Follows a run over as many attempts as it takes: where its driver is lost, the next attempt is submitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from raytrain import formatting
from raytrain.client.attempts import later_attempt
from raytrain.client.registry import RunRecord
from raytrain.client.run_view import RunView
from raytrain.client.watch import Idle, StatusChange, watch
from raytrain.errors import ClusterError, NotFound, Problem, StateUnknown, UsageError, WaitTimedOut
from raytrain.run.events import Event, RunFinished
from raytrain.run.run_status import Reason


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """The driver of an attempt was lost, and another attempt takes its place. `attempt`: the number of that one."""

    run: str
    lost: int
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Resubmitting(Takeover):
    """It is about to be submitted here, as `restarts.driver` allows."""


@dataclass(frozen=True, kw_only=True)
class Resubmitted(Takeover):
    """It was submitted here. `warnings`: what the user should know, though it did not stop the job."""

    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Overtaken(Takeover):
    """Another command has submitted it."""


Item = Event | StatusChange | Idle | Takeover


class Deadline:
    """The moment when one stops waiting for a run; none when `timeout_s` is None."""

    def __init__(self, run: str, timeout_s: float | None) -> None:
        self._run = run
        self._timeout_s = timeout_s
        self._began_at = time.monotonic()

    def check(self) -> None:
        """Raises WaitTimedOut when the moment has come."""
        if self._timeout_s is None or time.monotonic() < self._began_at + self._timeout_s:
            return
        raise WaitTimedOut(
            Problem(
                got=f"no end of {self._run} within {formatting.seconds(self._timeout_s)}",
                expected="the run to end; it goes on",
                fix=f"raytrain watch {self._run} comes back to it, raytrain stop {self._run} stops it",
            )
        )


def follow(
    view: RunView,
    *,
    deadline: Deadline | None = None,
    resubmits: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Iterator[Item]:
    """Every event of the run, every change of its status, and what is done about a lost driver, until the run ends.

    Each item has been added to the view when it is given. One who stops in between can go on with the same view.

    Args:
        view: the run; it becomes that of its last attempt.
        deadline: until when to follow at most.
        resubmits: a run whose driver is lost is submitted again, as often as its `restarts.driver` allows.
        progress: told in a few words what a submission is doing.

    Raises:
        WaitTimedOut: the deadline passed; the run goes on.
        StateUnknown: the run has not ended as far as we know, and nothing more can be learned.
        RaytrainError: the next attempt could not be submitted; as `resume`.
    """
    while True:
        try:
            yield from _present_attempt(view, deadline)
        except StateUnknown:
            # A cluster that answers was started anew, and knows no job of the old one.
            if not (resubmits and view.gatherer.answered and may_resubmit(view.record, view.attempt)):
                raise
        else:
            lost = view.summary.reason == Reason.DRIVER_LOST
            if not (resubmits and lost and may_resubmit(view.record, view.attempt)):
                return
        yield from _take_over(view, progress)


def _present_attempt(view: RunView, deadline: Deadline | None) -> Iterator[Item]:
    for item in watch(view.gatherer):
        view.take(item)
        yield item
        is_over = isinstance(item, RunFinished) or (isinstance(item, StatusChange) and item.final)
        if deadline and not is_over:
            deadline.check()


def _take_over(view: RunView, progress: Callable[[str], None] | None) -> Iterator[Takeover]:
    """Submits the run's next attempt; where another command that waits was faster, takes up with that."""
    from raytrain.client.resume import resume

    run, lost = view.record.run, view.attempt
    later = later_attempt(view.record, lost)
    if later is None:
        yield Resubmitting(run=run, lost=lost, attempt=lost + 1)
        try:
            submitted = resume(view.record, after=lost, progress=progress)
        except (UsageError, ClusterError):
            later = later_attempt(view.record, lost)
            if later is None:
                raise
        else:
            view.take_up(submitted.record)
            yield Resubmitted(run=run, lost=lost, attempt=view.attempt, warnings=submitted.warnings)
            return
    view.take_up(later)
    yield Overtaken(run=run, lost=lost, attempt=later.attempt)


def may_resubmit(record: RunRecord, attempt: int) -> bool:
    """Whether a run whose driver was lost in this attempt is to be submitted again."""
    from raytrain.client.kept_requests import submitted_request

    try:
        request = submitted_request(record)
    except NotFound:
        return False
    return attempt - request.last_by_user < request.spec.restarts.driver
