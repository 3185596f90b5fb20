"""What is asked of the cluster's nodes, on real Ray, and what is made of it where Ray does not say."""

from __future__ import annotations

import pytest

from raytrain import ray_internals
from raytrain.driver.cluster_nodes import draining_nodes, free_resources, own_node, session_logs
from raytrain.ray_internals import Use

pytestmark = pytest.mark.usefixtures("ray_cluster")

GONE = Use(places=("ray:gone",), without="something")


def test_each_node_is_told_of() -> None:
    [node] = free_resources()
    assert 0 < node["CPU"] <= 4  # an earlier test's actors may be on their way out
    assert draining_nodes() == {}
    assert len(own_node()) == 56
    logs = session_logs()
    assert logs is not None
    assert list(logs.glob("raylet*"))


def test_where_ray_does_not_tell_the_nodes_apart_they_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_internals, "FREE_RESOURCES", GONE)
    monkeypatch.delattr("ray._private.state.available_resources_per_node")
    [all_of_them] = free_resources()
    assert 0 < all_of_them["CPU"] <= 4


def test_where_ray_does_not_tell_of_nodes_that_go_none_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_internals, "DRAINING", GONE)
    monkeypatch.delattr("ray._private.state.GlobalState.get_draining_nodes")
    assert draining_nodes() == {}
    assert len(free_resources()) == 1


def test_where_ray_does_not_tell_its_logs_folder_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_internals, "SESSION_LOGS", GONE)
    monkeypatch.delattr("ray._private.worker._global_node")
    assert session_logs() is None
