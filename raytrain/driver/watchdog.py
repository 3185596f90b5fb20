"""Decides whether a worker group hangs, and which rank holds it up.

Runs in: the driver. The rule is pure; `raytrain.driver.group_monitor` asks it every second and obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from raytrain.driver.rank_progress import RankState
from raytrain.spec.job import WatchdogSpec

# A step may take so many times the median one before it counts as hung.
_MEDIAN_STEPS = 20
# Another batch's shape is traced anew, which takes about what it took in the first step, on a slow machine minutes.
_FIRST_STEPS = 2
# A rank that has missed so many seconds of heartbeats is stopped as a whole, not only its training thread.
_SILENT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Hang:
    """No rank advanced within its limit; `rank`, with its phase, epoch and step, is the one that holds the rest up."""

    rank: int
    phase: str
    epoch: int
    step: int
    limit_s: float


def find_hang(ranks: Sequence[RankState], limits: WatchdogSpec) -> Hang | None:
    """The hang, when every rank has stood still for longer than its phase allows.

    One rank that stands still alone is none: it may wait for another that still advances, or have ended already.
    """
    ranks = [_brought_up(rank, ranks) for rank in ranks]
    if not ranks or any(rank.stalled_s <= limit_s(rank, limits) for rank in ranks):
        return None
    slowest = min(ranks, key=_order)
    return Hang(
        rank=slowest.rank,
        phase=slowest.phase,
        epoch=slowest.epoch,
        step=slowest.step,
        limit_s=limit_s(slowest, limits),
    )


def limit_s(rank: RankState, limits: WatchdogSpec) -> float:
    """How long a rank may stand still where it is."""
    if rank.phase == "setup":
        return limits.setup
    if rank.phase == "train":
        return max(limits.step, _MEDIAN_STEPS * (rank.step_s or 0.0), _FIRST_STEPS * rank.first_step_s)
    return limits.checkpoint


def _brought_up(rank: RankState, ranks: Sequence[RankState]) -> RankState:
    """A silent rank where it must be at least: a step that another has done was done by all, with one all-reduce.

    It was last heard up to a second before it fell silent, in a phase perhaps that may take much longer than a step.
    """
    done = [other for other in ranks if other.phase == "train" and other.step > 0]
    furthest = max(done, key=lambda other: (other.epoch, other.step), default=None)
    if rank.silent_s < _SILENT_S or furthest is None or (rank.phase != "setup" and furthest.epoch <= rank.epoch):
        return rank
    step_s = rank.step_s or furthest.step_s
    return replace(rank, phase="train", epoch=furthest.epoch, step=furthest.step - 1, step_s=step_s)


def _order(rank: RankState) -> tuple[bool, tuple[int, int, int], float, int]:
    """A process that is silent holds up the others; else the one furthest behind, and of equals the longest there."""
    return rank.silent_s < _SILENT_S, rank.progress, -rank.stalled_s, rank.rank
