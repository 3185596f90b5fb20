"""The events of a run, one JSON object a line in `events.jsonl`.

Every line carries `schema_version`, `type`, `time` (seconds since the epoch, UTC), `run` and `attempt`, then the fields
of its type. Readers skip types and fields they do not know, so that an old client can read a new run. So a `type` stays
what it is on disk, whatever its class is called: those of `GroupStarted` and `GroupFailed` speak of an attempt, that of
`TrainingEnded` of an early stop.

Whoever sees something happen makes the event of it, a worker too; `run` and `attempt` are put in by the recorder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raytrain.errors import Failure
from raytrain.run.answer_events import AnswerDiffers as AnswerDiffers
from raytrain.run.answer_events import AnswerProven as AnswerProven
from raytrain.run.collectives_event import CollectivesChosen as CollectivesChosen
from raytrain.run.event_base import SCHEMA_VERSION as SCHEMA_VERSION
from raytrain.run.event_base import Event as Event
from raytrain.run.event_base import Metrics as Metrics
from raytrain.run.event_values import Best as Best
from raytrain.run.event_values import RankPlace as RankPlace
from raytrain.run.event_values import SplitShards as SplitShards
from raytrain.run.origin_events import Extended as Extended
from raytrain.run.origin_events import Initialised as Initialised


@dataclass(frozen=True, kw_only=True)
class Submitted(Event):
    """First line of a run. `submitted_at`: when the user's command began, seconds since the epoch.

    `extended_from`: the run whose whole state it begins with; `initialised_from`: the run or file whose model it does.
    `overfit_batches`: it trains on so many batches alone; 0 where on all.
    """

    type: ClassVar[str] = "submitted"
    name: str
    workers: int
    global_batch_size: int
    epochs: int
    storage: str
    submitted_at: float
    dashboard_url: str = ""
    extended_from: str = ""
    initialised_from: str = ""
    overfit_batches: int = 0


@dataclass(frozen=True, kw_only=True)
class GroupStarted(Event):
    """A worker group is asked for. `restart`: how many groups of the attempt have failed before."""

    type: ClassVar[str] = "attempt_started"
    workers: int
    restart: int = 0
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Queued(Event):
    """The cluster has no room for the workers yet. `needs`: what they lack, in words."""

    type: ClassVar[str] = "queued"
    needs: str


@dataclass(frozen=True, kw_only=True)
class Placed(Event):
    """The worker group's processes run; `ranks` has one place a rank."""

    type: ClassVar[str] = "placed"
    ranks: list[RankPlace]


@dataclass(frozen=True, kw_only=True)
class Phase(Event):
    """A step of the start-up is done for the first time.

    Names, in order: `driver`, `data`, `workers`, `tensorflow`, `model`, `first_step`.
    `since_submit_s` is measured from the user's command.
    """

    type: ClassVar[str] = "phase"
    name: str
    since_submit_s: float


@dataclass(frozen=True, kw_only=True)
class Sharded(Event):
    """How the rows of each split are divided among the workers.

    `tier`: where the rows are kept between epochs, `shared`, `sharded` or `streaming`.
    """

    type: ClassVar[str] = "sharded"
    splits: dict[str, SplitShards]
    tier: str = "shared"


@dataclass(frozen=True, kw_only=True)
class ModelBuilt(Event):
    type: ClassVar[str] = "model_built"
    parameters: int
    trainable_parameters: int


@dataclass(frozen=True, kw_only=True)
class EpochEnd(Event):
    """An epoch (counted from 0) is done. `metrics` are pooled over all workers and rows.

    `rank_seconds`, `rank_rows_per_s`, `rank_wait_s` (seconds in which the training thread stood still for want of rows)
    and `rank_train_s` (seconds before validation began) have one entry a rank; `best` is the best so far.
    """

    type: ClassVar[str] = "epoch_end"
    epoch: int
    metrics: Metrics
    seconds: float
    rows_per_s: float
    rank_seconds: list[float]
    rank_rows_per_s: list[float]
    rank_wait_s: list[float] = field(default_factory=list)
    rank_train_s: list[float] = field(default_factory=list)
    learning_rate: float | None = None
    best: Best | None = None
    patience_left: int | None = None

    @classmethod
    def measured(cls, *, rank_seconds: list[float], rank_rows: Sequence[int], **fields: Any) -> EpochEnd:
        """Of what was measured: each rank's seconds, and the rows that it trained on in them."""
        speeds = [rows / took_s for rows, took_s in zip(rank_rows, rank_seconds, strict=True)]
        seconds, rows_per_s = max(rank_seconds), sum(rank_rows) / max(rank_seconds)
        return cls(seconds=seconds, rows_per_s=rows_per_s, rank_seconds=rank_seconds, rank_rows_per_s=speeds, **fields)


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """`epoch` (counted from 0) is the last one done, -1 before the first; `step`: steps done of the one after.

    `seconds` from the copy to the commit; `blocked_s`: how long training stood still for it.
    """

    type: ClassVar[str] = "checkpoint_saved"
    epoch: int
    path: str
    seconds: float
    step: int = 0
    blocked_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CheckpointFailed(Event):
    """A save failed; training goes on, and the save is tried again unless `given_up`."""

    type: ClassVar[str] = "checkpoint_failed"
    epoch: int
    why: str
    given_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Restored(Event):
    """Training goes on after `epoch` (counted from 0) and `step` steps more, which is what the checkpoint holds."""

    type: ClassVar[str] = "restored"
    epoch: int
    path: str
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class CheckpointSkipped(Event):
    """A checkpoint was found broken and the one before it is tried."""

    type: ClassVar[str] = "checkpoint_skipped"
    path: str
    why: str


@dataclass(frozen=True, kw_only=True)
class TrainingEnded(Event):
    """Training ends after `epoch` for `reason`, before the epochs asked for are done.

    `step`: steps done of the epoch, where it ends within it; else 0. `reason`: a `Reason`; a worker group that ends
    for a `Pause` says so to the driver alone.
    """

    type: ClassVar[str] = "early_stop"
    epoch: int
    reason: str
    message: str
    best: Best | None = None
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class WorkerLost(Event):
    type: ClassVar[str] = "worker_lost"
    message: str
    ranks: list[int]


@dataclass(frozen=True, kw_only=True)
class Hung(Event):
    """No worker advanced for `limit_s`; `rank` is the one furthest behind, `stacks` the file with all ranks' stacks."""

    type: ClassVar[str] = "hung"
    rank: int
    phase: str
    epoch: int
    step: int
    limit_s: float
    stacks: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resized(Event):
    """The next worker group has another number of workers."""

    type: ClassVar[str] = "resized"
    workers: int
    before: int


@dataclass(frozen=True, kw_only=True)
class FellBack(Event):
    """The loss was no finite number in `epoch`; training goes on from the last finite checkpoint at a lower rate."""

    type: ClassVar[str] = "fell_back"
    epoch: int
    learning_rate_factor: float


@dataclass(frozen=True, kw_only=True)
class GroupFailed(Event):
    """A worker group has failed; `retrying`: another one follows."""

    type: ClassVar[str] = "attempt_failed"
    error: Failure
    retrying: bool


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something the user should know that does not end the run."""

    type: ClassVar[str] = "warned"
    message: str


@dataclass(frozen=True, kw_only=True)
class TestEnd(Event):
    """The final model's metrics on the test rows, pooled over all workers."""

    __test__ = False
    type: ClassVar[str] = "test_end"
    metrics: Metrics


@dataclass(frozen=True, kw_only=True)
class ModelSaved(Event):
    type: ClassVar[str] = "model_saved"
    path: str


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """Last line of a run. `status` and `reason` as in `raytrain.run.run_status`."""

    type: ClassVar[str] = "run_finished"
    status: str
    reason: str
    error: Failure | None = None
