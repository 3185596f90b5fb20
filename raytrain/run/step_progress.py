"""How far a run is within the epoch that goes on: one small file, which is written anew and tells of no past."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from raytrain.files import write_whole
from raytrain.run.event_json import known_fields


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """Where the rank that is furthest behind is.

    Attributes:
        attempt: which is told of.
        time: when, seconds since the epoch.
        epoch: counted from 0.
        step, steps: done, and of how many.
        steps_per_s: the fastest that a rank was seen to go; 0 before that is known.
        memory_bytes: of the rank that has the most; 0 before that is known.
        gpu_utilization: of the least busy GPU, 0 to 1; None without one.
        gpu_memory_bytes: of the fullest.
    """

    attempt: int
    time: float
    epoch: int
    step: int
    steps: int
    steps_per_s: float = 0.0
    memory_bytes: int = 0
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None

    @property
    def share(self) -> float:
        """Of the epoch's steps, 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to the epoch's last step; None before that can be told."""
        return max(0, self.steps - self.step) / self.steps_per_s if self.steps_per_s else None

    def write(self, path: Path) -> None:
        """Puts it in the place of what was there.

        Raises:
            OSError: the storage does not take it.
        """
        write_whole(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> StepProgress | None:
        """None where there is none, or one of another form."""
        try:
            found = known_fields(cls, json.loads(path.read_text(encoding="utf-8")))
            return found if found.share >= 0 else None
        except (OSError, ValueError, TypeError):
            return None
