"""What a run's directory says of it in short: its `status.json`, or what its events add up to where that is none."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import directory_of, pull
from raytrain.run.event_json import known_fields
from raytrain.run.event_log import read_events
from raytrain.run.events import Best, Metrics
from raytrain.run.summary import summarize

_KINDS = {"status": str, "reason": str | None, "attempts": int, "metrics": dict}


@dataclass(frozen=True, kw_only=True)
class StoredStatus:
    """A run as the object of `status --json` has it, as far as a list or a forecast makes use of it.

    Attributes:
        epochs: how many are done.
        epoch_s: seconds of each.
    """

    status: str = ""
    reason: str | None = None
    attempts: int = 1
    metrics: Metrics = field(default_factory=dict)
    name: str | None = None
    workers: int | None = None
    global_batch_size: int | None = None
    steps_per_epoch: int | None = None
    parameters: int | None = None
    epochs: int | None = None
    epochs_planned: int | None = None
    test: Metrics | None = None
    best: Best | None = None
    storage: str | None = None
    model: str | None = None
    epoch_s: Sequence[float] = field(default_factory=list)


def stored_status(record: RunRecord) -> StoredStatus | None:
    """What the run's directory says; None where it says nothing, or is out of sight."""
    paths = directory_of(record)
    if paths is None:
        return None
    pull(paths, paths.status)
    # A file that is not there or of another form says nothing; the events may.
    with contextlib.suppress(OSError, ValueError, TypeError):
        return _status_of(json.loads(paths.status.read_text()))
    events = read_events(paths.events)
    return _status_of(summarize(record.run, events).to_dict()) if events else None


def _status_of(body: Any) -> StoredStatus:
    """Raises TypeError where the body has not the form of a status."""
    if not isinstance(body, dict) or not all(isinstance(body.get(name), kind) for name, kind in _KINDS.items()):
        raise TypeError("no status")
    if not all(isinstance(value, int | float | None) for value in body["metrics"].values()):
        raise TypeError("no metrics")
    best, timing = body.get("best"), body.get("timing")
    more = {
        "best": known_fields(Best, best) if isinstance(best, dict) else None,
        "epoch_s": timing.get("epoch_s", []) if isinstance(timing, dict) else [],
    }
    return known_fields(StoredStatus, body | more)
