"""What a run's events add up to: the object that `submit --json` and `status --json` print.

A pure fold: the driver writes it to `status.json`, and a client that has only the events comes to the same object.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.epoch_row import EpochRow as EpochRow
from raytrain.run.events import SCHEMA_VERSION
from raytrain.run.explanations import Explanation, explain
from raytrain.run.run_status import RunStatus
from raytrain.run.step_progress import StepProgress

_SPLITS = ("train", "validation", "test")


@dataclass(kw_only=True)
class RunSummary:
    """Everything known of a run so far; grows by `add`, one event at a time."""

    run: str
    name: str = ""
    status: RunStatus = RunStatus.PENDING
    queued_for: str | None = None
    reason: str | None = None
    attempts: int = 1
    restarts: int = 0
    workers: int | None = None
    global_batch_size: int | None = None
    steps_per_epoch: int | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    collectives: events.CollectivesChosen | None = None
    answer: events.AnswerProven | events.AnswerDiffers | None = None
    rows: dict[str, int] = field(default_factory=dict)
    epochs_planned: int | None = None
    extended_from: str | None = None
    initialised_from: str | None = None
    overfit_batches: int | None = None
    epochs: dict[int, EpochRow] = field(default_factory=dict)
    last_metrics: events.Metrics = field(default_factory=dict)
    test: events.Metrics | None = None
    best: events.Best | None = None
    patience_left: int | None = None
    storage: str | None = None
    model: str | None = None
    dashboard_url: str | None = None
    submitted_at: float | None = None
    finished_at: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    lost_ranks: dict[int, int] = field(default_factory=dict)
    error: Failure | None = None
    progress: StepProgress | None = None

    def copy(self) -> RunSummary:
        """The summary as it stands now, whatever is added to this one later."""
        return replace(
            self,
            rows=dict(self.rows),
            epochs=dict(self.epochs),
            phases=dict(self.phases),
            warnings=list(self.warnings),
            lost_ranks=dict(self.lost_ranks),
        )

    def add(self, event: events.Event) -> None:
        """Takes in an event; of one that a later version writes in another shape, what can be read."""
        with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
            self._take(event)

    def _take(self, event: events.Event) -> None:
        match event:
            case events.Submitted():
                self._begin_attempt(event)
                self.name, self.workers = event.name, event.workers
                self.global_batch_size, self.epochs_planned = event.global_batch_size, event.epochs
                self.storage = event.storage
                self.dashboard_url = event.dashboard_url or None
                self.extended_from = event.extended_from or None
                self.initialised_from = event.initialised_from or None
                self.overfit_batches = event.overfit_batches or None
            case events.GroupStarted():
                self.status, self.reason, self.error = RunStatus.RUNNING, None, None
                self.attempts, self.workers = max(self.attempts, event.attempt), event.workers
            case events.Queued():
                self.status, self.queued_for = RunStatus.QUEUED, event.needs
            case events.Placed():
                self.status, self.queued_for = RunStatus.RUNNING, None
            case events.Phase():
                self.phases.setdefault(event.name, self._since_submit_s(event))
            case events.Sharded():
                self.rows = {split: shards.rows for split, shards in event.splits.items()}
                self.steps_per_epoch = event.splits["train"].steps
            case events.ModelBuilt():
                self.parameters, self.trainable_parameters = event.parameters, event.trainable_parameters
            case events.CollectivesChosen():
                self.collectives = event
            case events.AnswerProven() | events.AnswerDiffers():
                self.answer = event
            case events.EpochEnd():
                self._add_epoch(event)
            case events.Restored():
                self._forget_after(event.epoch)
            case events.WorkerLost():
                self.lost_ranks |= {rank: self.lost_ranks.get(rank, 0) + 1 for rank in event.ranks}
            case events.GroupFailed():
                self.error = event.error
                self.status = RunStatus.RETRYING if event.retrying else RunStatus.FAILED
                self.restarts += 1 if event.retrying else 0
            case events.TestEnd():
                self.test = event.metrics
            case events.ModelSaved():
                self.model = event.path
            case events.Warned():
                self.warnings.append(event.message)
            case events.RunFinished():
                self.status, self.reason, self.queued_for = RunStatus.of(event.status), event.reason, None
                self.error, self.finished_at = event.error, event.time

    def _begin_attempt(self, event: events.Submitted) -> None:
        """A further attempt takes up a run that had ended; times go on counting from the first command."""
        if self.submitted_at is None:
            self.submitted_at = event.submitted_at
        if event.attempt > 1:
            self.status, self.reason, self.error, self.finished_at = RunStatus.PENDING, None, None, None
            self.attempts = event.attempt

    def _since_submit_s(self, event: events.Phase) -> float:
        """Counted from the first command, as all times are; the event of a further attempt counts from its own."""
        if event.attempt == 1 or self.submitted_at is None:
            return event.since_submit_s
        return event.time - self.submitted_at

    def _add_epoch(self, event: events.EpochEnd) -> None:
        self._forget_after(event.epoch - 1)  # of a group that was lost before its first checkpoint
        self.epochs[event.epoch] = EpochRow.of(event)
        self.last_metrics = event.metrics
        self.best, self.patience_left = event.best, event.patience_left
        if self.submitted_at is not None and event.time >= self.submitted_at:  # else of the run that this one extends
            self.phases.setdefault("first_epoch", event.time - self.submitted_at)

    def _forget_after(self, epoch: int) -> None:
        """The run goes on after `epoch`: what came later is trained again."""
        if self._newest <= epoch:
            return
        self.epochs = {known: row for known, row in self.epochs.items() if known <= epoch}
        self.last_metrics = self.epochs[self._newest].metrics if self.epochs else {}
        if self.best is not None and self.best.epoch > epoch:
            self.best = None

    @property
    def _newest(self) -> int:
        """Epochs come in order: whatever comes after one that is trained again is forgotten first."""
        return next(reversed(self.epochs), -1)

    def conclude(self, status: RunStatus, *, reason: str | None = None, error: Failure | None = None) -> None:
        """Takes over what was learned about the run from elsewhere than its log, such as from its job's status."""
        self.status = status
        self.reason = reason or self.reason
        self.error = self.error or error

    def metric_names(self) -> list[str]:
        """Every metric of any epoch, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.epoch_rows() for name in row.metrics))

    def epoch_rows(self) -> list[EpochRow]:
        """The finished epochs, in order."""
        return [self.epochs[epoch] for epoch in sorted(self.epochs)]

    def newest_row(self) -> EpochRow:
        """The last finished epoch.

        Raises:
            KeyError: there is none yet.
        """
        return self.epochs[self._newest]

    def to_dict(self) -> dict[str, Any]:
        """The object of the command line's `--json`; every key is always there."""
        summed = self.collectives
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "name": self.name,
            "status": str(self.status),
            "reason": self.reason,
            "queued_for": self.queued_for,
            "attempts": self.attempts,
            "restarts": self.restarts,
            "workers": self.workers,
            "global_batch_size": self.global_batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "parameters": self.parameters,
            "collectives": {"implementation": summed.implementation, "why": summed.why} if summed else None,
            "answer": _answer_json(self.answer),
            "rows": dict.fromkeys(_SPLITS, 0) | self.rows if self.rows else {},
            "epochs": len(self.epochs),
            "epochs_planned": self.epochs_planned,
            "extended_from": self.extended_from,
            "initialised_from": self.initialised_from,
            "overfit_batches": self.overfit_batches,
            "progress": asdict(self.progress) if self.progress else None,
            "metrics": dict(self.last_metrics),
            "test": self.test,
            "best": asdict(self.best) if self.best else None,
            "storage": self.storage,
            "model": self.model,
            "dashboard_url": self.dashboard_url,
            "timing": self._timing(),
            "warnings": self.warnings,
            "explanations": [asdict(cause) for cause in self.explanations()],
            "error": error.to_json() if (error := self.error or self._why_stopped()) else None,
        }

    def explanations(self) -> list[Explanation]:
        """The likely causes of what a person would wonder at, in one sentence each."""
        return explain(self)

    def _why_stopped(self) -> Failure | None:
        """A run that was stopped has no error of its own, and says the reason in its place."""
        if self.status is not RunStatus.STOPPED:
            return None
        message = f"the run was stopped: {(self.reason or 'unknown').replace('_', ' ')}"
        return Failure(kind=self.reason or "", message=message)

    def _timing(self) -> dict[str, Any]:
        total = self.finished_at - self.submitted_at if self.finished_at and self.submitted_at else None
        return {
            "submit_to_first_step_s": self.phases.get("first_step"),
            "submit_to_first_epoch_s": self.phases.get("first_epoch"),
            "epoch_s": [row.epoch_s for row in self.epoch_rows()],
            "total_s": total,
            "phases": self.phases,
        }


def _answer_json(answer: events.AnswerProven | events.AnswerDiffers | None) -> dict[str, Any] | None:
    """What the run proved of its answer; None where nothing called for a proof, or none was made yet."""
    if answer is None:
        return None
    if isinstance(answer, events.AnswerProven):
        return {
            "promise": "one_process",
            "proven": answer.largest,
            "set_aside": answer.set_aside,
            "over_all_rows": answer.over_all_rows,
        }
    return {"promise": "differs", "largest": answer.largest, "what": answer.what, "set_aside": answer.set_aside}


def summarize(run: str, events: Iterable[events.Event]) -> RunSummary:
    summary = RunSummary(run=run)
    for event in events:
        summary.add(event)
    return summary
