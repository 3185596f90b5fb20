"""Tests of which cluster a command is for, with the heads of this machine made up."""

from __future__ import annotations

import pytest

from raytrain.cluster import connect as module
from raytrain.cluster.address import LocalHead
from raytrain.cluster.connect import connect, locate
from raytrain.cluster.local import machine
from raytrain.errors import ClusterUnreachable
from tests.cluster.stand_in import Answer, StandIn

Environ = dict[str, str]
USUAL = "http://127.0.0.1:8265"


@pytest.fixture(autouse=True)
def no_other_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs on the machine that tests."""
    monkeypatch.setattr(machine, "running_heads", list)
    monkeypatch.setattr(module, "_answers", lambda *_: False)


def test_a_cluster_that_someone_started_here_is_found(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "running_heads", lambda: [LocalHead(url="http://127.0.0.1:8299")])

    assert locate(None, environ).url == "http://127.0.0.1:8299"


def test_one_of_another_state_directory_is_left_alone(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two test suites, or two environments, do not send each other their jobs."""
    monkeypatch.setattr(machine, "running_heads", lambda: [LocalHead(url=USUAL, of_raytrain=True)])
    monkeypatch.setattr(module, "_answers", lambda *_: True)

    assert locate(None, environ).starts_local


def test_what_answers_on_the_usual_port_is_taken(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster in a container, or at the end of a tunnel, has no process of this user's here."""
    monkeypatch.setattr(module, "_answers", lambda url, _: url == USUAL)

    assert locate(None, environ).url == USUAL


def test_a_command_that_only_looks_starts_nothing(environ: Environ) -> None:
    with pytest.raises(ClusterUnreachable, match="raytrain up"):
        connect(None, environ=environ, start_local=False)


@pytest.mark.parametrize("session", ["/tmp/ray/session_of_another_machine", f"/tmp/{'long' * 99}"])
def test_the_end_of_a_tunnel_is_not_this_machine(environ: Environ, dashboard: StandIn, session: str) -> None:
    dashboard.answer("/api/version", Answer(body={"ray_version": "2.60.0", "session_name": "s"}))
    head = {"isHeadNode": True, "sessionDir": session}
    dashboard.answer("/nodes", Answer(body={"data": {"summary": [{"hostname": "far", "raylet": head}]}}))

    connection = connect(dashboard.url, environ=environ)

    assert connection.address.is_loopback
    assert not connection.shares_this_machine
    assert not connection.is_ours


def test_nobody_there(environ: Environ) -> None:
    with pytest.raises(ClusterUnreachable, match="connection refused"):
        connect("http://127.0.0.1:9", environ=environ)
