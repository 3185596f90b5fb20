"""What every event of a run has; `raytrain.run.events` has the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

SCHEMA_VERSION = 1
Metrics = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events. `time` is when it happened; what makes an event may leave all three to the recorder."""

    type: ClassVar[str] = ""
    run: str = ""
    attempt: int = 0
    time: float = 0.0
