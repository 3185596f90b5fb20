"""Where a job's rows are kept between epochs: the choice of a tier by their size. Pure.

*shared*: once a node in Ray's object store. *sharded*: each worker's own rows in its memory or on its node's disk.
*streaming*: nowhere; every epoch reads the source anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from raytrain import formatting
from raytrain.errors import Problem, SpecError
from raytrain.spec.data_spec import Cache

Tier = Literal["shared", "sharded", "streaming"]

# The rest of the object store is for Ray Data's blocks and whatever else runs on the node.
OBJECT_STORE_SHARE = 0.5
# The rest of the memory is for the model, its gradients and TensorFlow.
MEMORY_SHARE = 0.5
# The rest of the disk is for logs, checkpoints and spilled objects.
DISK_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class TierChoice:
    """`why`: the sizes that led to the tier, in words."""

    tier: Tier
    why: str


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the nodes that are up can hold.

    Attributes:
        object_store_bytes: of the node that has least of it.
        memory_bytes: of the nodes that workers run on together, as Ray counts it: without the object store.
        cpus: of all nodes.
    """

    object_store_bytes: int
    memory_bytes: int
    cpus: float


def capacity_of(nodes: Sequence[Mapping[str, float]], *, workers: int) -> Capacity:
    """The capacity of nodes with these resources, in Ray's names, for that many workers."""
    memories = sorted(int(node.get("memory", 0)) for node in nodes)
    return Capacity(
        object_store_bytes=min((int(node.get("object_store_memory", 0)) for node in nodes), default=0),
        memory_bytes=sum(memories[: min(len(nodes), workers)]),
        cpus=sum(node.get("CPU", 0.0) for node in nodes),
    )


def choose_tier(
    data_bytes: int,
    *,
    object_store_bytes: int,
    worker_memory_bytes: int,
    local_disk_bytes: int,
    cache: Cache,
) -> TierChoice:
    """The fastest tier that holds the data, or the one that is asked for.

    Args:
        data_bytes: all splits, estimated.
        object_store_bytes, worker_memory_bytes: as in `Capacity`.
        local_disk_bytes: free on all nodes that workers run on together.
        cache: what the spec asks for.

    Raises:
        SpecError: the tier that is asked for cannot hold the data.
    """
    store = int(object_store_bytes * OBJECT_STORE_SHARE)
    memory = int(worker_memory_bytes * MEMORY_SHARE)
    disk = int(local_disk_bytes * DISK_SHARE)
    data = formatting.size(data_bytes)
    in_store = f"{data} of data, {formatting.size(store)} for it in each node's object store"
    on_workers = f"{data} of data, {formatting.size(memory)} for it in the workers' memory"
    if data_bytes > memory:
        on_workers += f", {formatting.size(disk)} on disk"
    fits = {"shared": data_bytes <= store, "sharded": data_bytes <= max(memory, disk), "streaming": True}
    if cache == "auto":
        if fits["shared"]:
            return TierChoice(tier="shared", why=in_store)
        return TierChoice(tier="sharded" if fits["sharded"] else "streaming", why=on_workers)
    if not fits[cache]:
        raise SpecError(
            Problem(
                field="data.cache",
                got=f"{cache} for {in_store if cache == 'shared' else on_workers}",
                expected="a tier that holds the data",
                fix=f"data.cache={'sharded' if cache == 'shared' and fits['sharded'] else 'streaming'}, or auto",
            )
        )
    return TierChoice(tier=cache, why=f"data.cache={cache}")


def foresee_tier(data_bytes: int | None, capacity: Capacity, *, cache: Cache) -> tuple[Tier | None, str]:
    """The tier and its reason in words, as far as a client can tell, who does not see the nodes' disks.

    Args:
        data_bytes: None where only the cluster can tell.
        capacity: all 0 where the cluster is not known yet.

    Raises:
        SpecError: the data cannot be shared, which is what is asked for.
    """
    known = data_bytes is not None and capacity.object_store_bytes > 0
    if not known and cache != "auto":
        return cache, f"data.cache={cache}"
    if data_bytes is None:
        return None, "chosen on the cluster, where the size of the rows is seen"
    if not known:
        return None, f"chosen on the cluster, by the room it has for {formatting.size(data_bytes)}"
    choice = choose_tier(
        data_bytes,
        object_store_bytes=capacity.object_store_bytes,
        worker_memory_bytes=capacity.memory_bytes,
        local_disk_bytes=2**62,
        cache=cache,
    )
    if cache == "auto" and choice.tier == "sharded" and data_bytes > capacity.memory_bytes * MEMORY_SHARE:
        return None, f"sharded if the nodes' disks have room for {formatting.size(data_bytes)}, else streaming"
    return choice.tier, choice.why


def check_free_cpus(tier: Tier, *, cluster_cpus: float, workers: int, cpus_per_worker: float) -> None:
    """Refuses workers that would leave no CPU to those who read while they train.

    Workers that the cluster has no room for yet wait for one that has grown, which may have a CPU to spare.

    Raises:
        SpecError: less than one CPU is left.
    """
    taken = workers * cpus_per_worker
    if tier == "shared" or not 0 <= cluster_cpus - taken < 1:
        return
    fewer = int((cluster_cpus - 1) // cpus_per_worker)
    raise SpecError(
        Problem(
            field="scaling.workers",
            got=f"{workers} workers that take {taken:g} of the cluster's {cluster_cpus:g} CPUs",
            expected=f"one CPU left to read the rows with while they train (data.cache: {tier})",
            fix=f"--workers {fewer}, or fewer scaling.cpus_per_worker" if fewer else "use a larger cluster",
        )
    )
