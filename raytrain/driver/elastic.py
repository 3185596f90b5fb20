"""How many workers a group is to have, where the job leaves a choice.

Runs in: the driver. Pure; `raytrain.driver.worker_groups` starts the group and `raytrain.driver.group_monitor` asks for
a larger one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raytrain.spec.job import ScalingSpec
from raytrain.spec.placement import LITTLE, needs_of, room
from raytrain.spec.tier_choice import Tier

# After a group has ended Ray takes a moment to free what it held; a smaller size is settled on only after this.
SETTLE_S = 5.0
# More room must be seen this many times in a row, and the group have trained so long, before it is worth a restart.
GROW_LOOKS = 3
GROW_EVERY_S = 60.0


def workers_that_fit(nodes: Sequence[Mapping[str, float]], scaling: ScalingSpec, tier: Tier) -> int:
    """How many workers the nodes have room for, beside the CPU that those need who read while workers train.

    Which `raytrain.spec.tier_choice.check_free_cpus` insists on: a size that left none would be refused.

    Args:
        nodes: what is free of each.
    """
    needs = needs_of(scaling)
    if tier == "shared":
        return sum(room(nodes, needs))
    readers = [place for place, node in enumerate(nodes) if node.get("CPU", 0.0) + LITTLE >= 1]
    return max((sum(room(_less_a_cpu(nodes, place), needs)) for place in readers), default=0)


def _less_a_cpu(nodes: Sequence[Mapping[str, float]], place: int) -> list[Mapping[str, float]]:
    return [{**node, "CPU": node["CPU"] - 1} if at == place else node for at, node in enumerate(nodes)]


def first_size(scaling: ScalingSpec, room: int, *, waited_s: float) -> int | None:
    """The next group's size; None while it is worth looking again.

    Without a choice it is the size asked for, and with too little room even for the smallest, that one: Ray then queues
    it, which makes a cluster that can grow do so.
    """
    if scaling.min_workers is None or room >= scaling.workers:
        return scaling.workers
    if waited_s < SETTLE_S:
        return None
    return max(scaling.min_workers, room)


def should_grow(scaling: ScalingSpec, *, workers: int, more_room: Sequence[int], trained_s: float) -> bool:
    """Whether a larger group is worth its restart.

    Args:
        scaling: what the job asks for.
        workers: the present group's.
        more_room: how many workers more would have fit, at every look so far.
        trained_s: for how long the present group has trained.
    """
    if scaling.min_workers is None or workers >= scaling.workers or trained_s < GROW_EVERY_S:
        return False
    last = more_room[-GROW_LOOKS:]
    return len(last) == GROW_LOOKS and min(last) > 0
