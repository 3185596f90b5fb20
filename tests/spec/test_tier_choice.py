"""The choice of a tier by size: a table of cases."""

from __future__ import annotations

import pytest

from raytrain.errors import SpecError
from raytrain.spec.data_spec import Cache
from raytrain.spec.tier_choice import Capacity, Tier, capacity_of, check_free_cpus, choose_tier, foresee_tier

MIB = 2**20


def choose(data: int, cache: Cache = "auto", *, store: int = 100, memory: int = 1000, disk: int = 5000) -> Tier:
    return choose_tier(
        data * MIB,
        object_store_bytes=store * MIB,
        worker_memory_bytes=memory * MIB,
        local_disk_bytes=disk * MIB,
        cache=cache,
    ).tier


@pytest.mark.parametrize(
    ("data", "tier"),
    [
        pytest.param(1, "shared", id="small"),
        pytest.param(50, "shared", id="all that the object store has for it"),
        pytest.param(51, "sharded", id="past it"),
        pytest.param(500, "sharded", id="all of the memory"),
        pytest.param(501, "sharded", id="on disk"),
        pytest.param(4000, "sharded", id="all of the disk"),
        pytest.param(4001, "streaming", id="past it all"),
    ],
)
def test_the_fastest_tier_that_holds_the_data(data: int, tier: Tier) -> None:
    assert choose(data) == tier


def test_the_reason_has_the_sizes() -> None:
    chosen = choose_tier(
        2**21, object_store_bytes=2**21, worker_memory_bytes=2**23, local_disk_bytes=2**30, cache="auto"
    )
    assert chosen.tier == "sharded"
    assert chosen.why == "2.0 MiB of data, 4.0 MiB for it in the workers' memory"
    chosen = choose_tier(
        2**21, object_store_bytes=2**21, worker_memory_bytes=2**21, local_disk_bytes=2**30, cache="auto"
    )
    assert chosen.why == "2.0 MiB of data, 1.0 MiB for it in the workers' memory, 819.2 MiB on disk"


@pytest.mark.parametrize("asked", ["shared", "sharded", "streaming"])
def test_what_is_asked_for_is_given_if_it_holds_the_data(asked: Cache) -> None:
    assert choose(1, asked) == asked


@pytest.mark.parametrize(
    ("data", "asked", "instead"),
    [(51, "shared", "sharded"), (4001, "shared", "streaming"), (4001, "sharded", "streaming")],
)
def test_a_tier_that_cannot_hold_the_data_is_refused_with_numbers(data: int, asked: Cache, instead: str) -> None:
    with pytest.raises(SpecError) as refused:
        choose(data, asked)
    [problem] = refused.value.problems
    assert problem.field == "data.cache"
    assert "MiB" in problem.got or "GiB" in problem.got
    assert problem.fix.startswith(f"data.cache={instead}")


@pytest.mark.parametrize(
    ("tier", "cpus", "workers", "each", "refused"),
    [
        ("shared", 4, 4, 1, False),
        ("sharded", 4, 3, 1, False),
        ("sharded", 4, 4, 1, True),
        ("streaming", 4, 4, 1, True),
        ("streaming", 4, 4, 0.75, False),
        ("streaming", 4, 7, 0.5, True),
        ("streaming", 1, 1, 1, True),
        ("streaming", 2, 4, 1, False),
    ],
)
def test_a_cpu_is_left_for_reading(tier: Tier, cpus: float, workers: int, each: float, refused: bool) -> None:
    if not refused:
        check_free_cpus(tier, cluster_cpus=cpus, workers=workers, cpus_per_worker=each)
        return
    with pytest.raises(SpecError) as error:
        check_free_cpus(tier, cluster_cpus=cpus, workers=workers, cpus_per_worker=each)
    [problem] = error.value.problems
    assert problem.field == "scaling.workers"
    if cpus > 1:
        fewer = int(problem.fix.split()[1].rstrip(","))
        check_free_cpus(tier, cluster_cpus=cpus, workers=fewer, cpus_per_worker=each)


NODE = {"CPU": 4.0, "memory": 400.0 * MIB, "object_store_memory": 100.0 * MIB}


def test_the_capacity_of_nodes() -> None:
    larger = {"CPU": 8.0, "memory": 1000.0 * MIB, "object_store_memory": 300.0 * MIB}
    capacity = capacity_of([larger, NODE], workers=1)
    assert capacity == Capacity(object_store_bytes=100 * MIB, memory_bytes=400 * MIB, cpus=12.0)
    assert capacity_of([larger, NODE], workers=5).memory_bytes == 1400 * MIB
    assert capacity_of([], workers=2) == Capacity(object_store_bytes=0, memory_bytes=0, cpus=0)


@pytest.mark.parametrize(
    ("data", "nodes", "cache", "tier", "why"),
    [
        pytest.param(50 * MIB, [NODE], "auto", "shared", "50.0 MiB of data, 50.0 MiB for it", id="shared"),
        pytest.param(200 * MIB, [NODE], "auto", "sharded", "200.0 MiB for it in the workers' memory", id="sharded"),
        pytest.param(201 * MIB, [NODE], "auto", None, "sharded if the nodes' disks have room", id="disks unseen"),
        pytest.param(None, [NODE], "auto", None, "where the size of the rows is seen", id="size unseen"),
        pytest.param(50 * MIB, [], "auto", None, "by the room it has for 50.0 MiB", id="cluster unseen"),
        pytest.param(None, [], "streaming", "streaming", "data.cache=streaming", id="asked for"),
        pytest.param(2**50, [NODE], "sharded", "sharded", "data.cache=sharded", id="asked for, disks unseen"),
    ],
)
def test_what_a_client_can_foresee(
    data: int | None, nodes: list[dict[str, float]], cache: Cache, tier: Tier | None, why: str
) -> None:
    foreseen, said = foresee_tier(data, capacity_of(nodes, workers=1), cache=cache)
    assert foreseen == tier
    assert why in said


def test_a_client_refuses_to_share_what_is_too_large() -> None:
    with pytest.raises(SpecError, match=r"data\.cache"):
        foresee_tier(51 * MIB, capacity_of([NODE], workers=1), cache="shared")
