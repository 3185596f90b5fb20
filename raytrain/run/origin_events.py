"""The events that tell where a run's weights and history come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raytrain.run.event_base import Event


@dataclass(frozen=True, kw_only=True)
class Extended(Event):
    """The run begins after `epoch` (counted from 0) of run `extends`, with the state of the checkpoint at `path`.

    That run's epochs stand before it in this log.
    """

    type: ClassVar[str] = "extended"
    extends: str
    epoch: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Initialised(Event):
    """What the model has of the saved one that `init_from` names, layer by layer; layers without weights are left out.

    `taken`: have its weights; `left`: begin with their own; `other_shape`: those of `left` whose namesakes in the saved
    model have weights of another shape; `frozen`: weights that training leaves alone.
    """

    type: ClassVar[str] = "initialised"
    taken: list[str]
    left: list[str]
    other_shape: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
