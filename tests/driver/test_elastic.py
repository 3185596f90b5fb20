from __future__ import annotations

import pytest

from raytrain.driver.elastic import first_size, should_grow, workers_that_fit
from raytrain.spec.job import ScalingSpec
from raytrain.spec.tier_choice import Tier, check_free_cpus


@pytest.mark.parametrize(
    ("fewest", "room", "waited_s", "size"),
    [
        pytest.param(None, 0, 0.0, 4, id="no choice: Ray queues it"),
        pytest.param(2, 9, 0.0, 4, id="room for all"),
        pytest.param(2, 3, 0.0, None, id="what was held may come free yet"),
        pytest.param(2, 3, 5.0, 3, id="as many as there is room for"),
        pytest.param(2, 2, 9.0, 2, id="the fewest"),
        pytest.param(2, 1, 9.0, 2, id="too little even for those: Ray queues them"),
    ],
)
def test_the_next_groups_size(fewest: int | None, room: int, waited_s: float, size: int | None) -> None:
    assert first_size(ScalingSpec(workers=4, min_workers=fewest), room, waited_s=waited_s) == size


@pytest.mark.parametrize(
    ("fewest", "workers", "more_room", "trained_s", "grows"),
    [
        pytest.param(2, 3, [1, 1, 1], 60.0, True, id="room for one more, for a while"),
        pytest.param(2, 3, [0, 1, 1, 2], 60.0, True, id="only the last looks count"),
        pytest.param(2, 3, [1, 0, 1], 60.0, False, id="the room comes and goes"),
        pytest.param(2, 3, [1, 1], 60.0, False, id="not seen often enough"),
        pytest.param(2, 3, [1, 1, 1], 59.0, False, id="only just begun"),
        pytest.param(2, 4, [5, 5, 5], 60.0, False, id="as many as were asked for"),
        pytest.param(None, 3, [5, 5, 5], 60.0, False, id="no choice"),
    ],
)
def test_growing(fewest: int | None, workers: int, more_room: list[int], trained_s: float, grows: bool) -> None:
    scaling = ScalingSpec(workers=4, min_workers=fewest)
    assert should_grow(scaling, workers=workers, more_room=more_room, trained_s=trained_s) is grows


@pytest.mark.parametrize(
    ("tier", "nodes", "each", "fit"),
    [
        pytest.param("shared", [{"CPU": 4.0}], 1, 4, id="nobody reads while they train"),
        pytest.param("streaming", [{"CPU": 4.0}], 1, 3, id="one CPU is left"),
        pytest.param("sharded", [{"CPU": 5.0}], 2, 2, id="what is left over does"),
        pytest.param("sharded", [{"CPU": 4.0}], 2, 1, id="a worker makes room"),
        pytest.param("sharded", [{"CPU": 4.0}, {"CPU": 3.0}], 2, 3, id="on the node where it costs no worker"),
        pytest.param("sharded", [{"CPU": 0.5}, {"CPU": 0.5}], 0.5, 0, id="never of two nodes' parts"),
        pytest.param("streaming", [{"GPU": 2.0}, {"CPU": 1.0}], 1, 0, id="a node without CPUs"),
        pytest.param("streaming", [], 1, 0, id="no node"),
    ],
)
def test_room_for_workers_and_for_those_who_read(
    tier: Tier, nodes: list[dict[str, float]], each: float, fit: int
) -> None:
    assert workers_that_fit(nodes, ScalingSpec(workers=9, cpus_per_worker=each), tier) == fit
    if fit:
        cpus = sum(node.get("CPU", 0.0) for node in nodes)
        check_free_cpus(tier, cluster_cpus=cpus, workers=fit, cpus_per_worker=each)
