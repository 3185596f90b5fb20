"""The event that tells over what the workers sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raytrain.run.event_base import Event


@dataclass(frozen=True, kw_only=True)
class CollectivesChosen(Event):
    """What all workers agreed to sum gradients, rows and metrics over.

    `implementation`: "nccl", between GPUs, "ring", TensorFlow's own through the hosts' memory, or "none" (one worker).
    `why`: it is not NCCL; empty where no worker has a GPU.
    """

    type: ClassVar[str] = "collectives_chosen"
    implementation: str
    workers: int
    why: str = ""
