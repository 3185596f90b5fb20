"""The events of a run, one JSON object a line in `events.jsonl`.

Every line carries `schema_version`, `type`, `time` (seconds since the epoch, UTC), `run` and `attempt`, then the fields
of its type. Readers skip types and fields they do not know, so that an old client can read a new run.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    type: ClassVar[str] = ""
    run: str
    attempt: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Submitted(Event):
    """First line of a run. `submitted_at`: when the user's command began, seconds since the epoch."""

    type: ClassVar[str] = "submitted"
    name: str
    workers: int
    global_batch_size: int
    epochs: int
    storage: str
    submitted_at: float
    dashboard_url: str = ""


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
    """The worker group's processes run. `ranks`: for each rank its `node` (an address) and `pid`."""

    type: ClassVar[str] = "placed"
    ranks: list[dict[str, Any]]


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
    """How the rows are divided. Each split's value has `rows`, `steps`, `rows_per_worker` (a list) and `dropped`.

    `tier`: where the rows are kept between epochs, `shared`, `sharded` or `streaming`.
    """

    type: ClassVar[str] = "sharded"
    splits: dict[str, dict[str, Any]]
    tier: str = "shared"


@dataclass(frozen=True, kw_only=True)
class ModelBuilt(Event):
    type: ClassVar[str] = "model_built"
    parameters: int
    trainable_parameters: int


@dataclass(frozen=True, kw_only=True)
class EpochEnd(Event):
    """An epoch (counted from 0) is done. `metrics` are pooled over all workers and rows.

    `rank_seconds`, `rank_rows_per_s` and `rank_wait_s` (seconds without rows) have one entry a rank; `best` is
    `{"epoch", "monitor", "value"}` so far.
    """

    type: ClassVar[str] = "epoch_end"
    epoch: int
    metrics: dict[str, float | None]
    seconds: float
    rows_per_s: float
    rank_seconds: list[float]
    rank_rows_per_s: list[float]
    rank_wait_s: list[float] = field(default_factory=list)
    learning_rate: float | None = None
    best: dict[str, Any] | None = None
    patience_left: int | None = None


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
    """Training ends after `epoch` for `reason` (a `Reason`), before the epochs asked for are done.

    `step`: steps done of the epoch, where it ends within it; else 0.
    """

    type: ClassVar[str] = "early_stop"
    epoch: int
    reason: str
    message: str
    best: dict[str, Any] | None = None
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
    """`error` has `kind`, `message`, `rank`, `file`, `line`, `fix` and `traceback`, each null where unknown."""

    type: ClassVar[str] = "attempt_failed"
    error: dict[str, Any]
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
    metrics: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class ModelSaved(Event):
    type: ClassVar[str] = "model_saved"
    path: str


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """Last line of a run. `status` and `reason` as in `raytrain.run`; `error` as in `AttemptFailed`."""

    type: ClassVar[str] = "run_finished"
    status: str
    reason: str
    error: dict[str, Any] | None = None


_TYPES: dict[str, type[Event]] = {kind.type: kind for kind in Event.__subclasses__()}


def to_line(event: Event) -> str:
    """The event as one line of JSON, without the newline; numbers that JSON lacks (NaN, infinities) become null."""
    return json_line({"schema_version": SCHEMA_VERSION, "type": event.type, **dataclasses.asdict(event)})


def json_line(body: dict[str, Any]) -> str:
    """One line of JSON, without the newline; numbers that JSON lacks become null."""
    return json.dumps(finite(body), allow_nan=False, separators=(",", ":"))


def from_line(line: str) -> Event | None:
    """The event on a line, or None where the line is of an unknown type, cut short, or of no attempt or time."""
    try:
        body = json.loads(line)
    except ValueError:
        return None
    kind = _TYPES.get(str(body.get("type"))) if isinstance(body, dict) else None
    if kind is None or not isinstance(body.get("attempt"), int) or not isinstance(body.get("time"), (int, float)):
        return None
    known = {item.name for item in dataclasses.fields(kind)}
    try:
        return kind(**{key: value for key, value in body.items() if key in known})
    except TypeError:
        return None


def finite(value: Any) -> Any:
    """The value with every NaN and infinity in it replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
