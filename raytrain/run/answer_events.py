"""The events that tell whether the workers give the answer of one process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raytrain.run.event_base import Event


@dataclass(frozen=True, kw_only=True)
class AnswerProven(Event):
    """First steps of the workers came to what one process came to, on the same rows.

    `largest`: the largest difference, relative to the quantity's own size; `set_aside`: what was made equal for it;
    `over_all_rows`: what is computed from all workers' rows; `holds_for`: versions, and a digest of the code and spec.
    """

    type: ClassVar[str] = "answer_proven"
    largest: float
    workers: int
    set_aside: list[str] = field(default_factory=list)
    over_all_rows: list[str] = field(default_factory=list)
    holds_for: str = ""


@dataclass(frozen=True, kw_only=True)
class AnswerDiffers(Event):
    """First steps of the workers came to something else than one process; `what` names it, the largest first."""

    type: ClassVar[str] = "answer_differs"
    largest: float
    workers: int
    what: list[str]
    set_aside: list[str] = field(default_factory=list)
