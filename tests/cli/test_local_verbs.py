"""`up` and `down`: what they say of the local cluster, which is a stand-in here."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from raytrain.cli.main import app

runner = CliRunner()
CLUSTER = SimpleNamespace(url="http://127.0.0.1:8265", cpus=4, gpus=None, has_token=True)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The local cluster: down at first; `up` is what `local.running` gives."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token")
    state = SimpleNamespace(up=None, asked={})

    def start(**options: Any) -> SimpleNamespace:
        state.asked = options
        if state.up is None:
            options["progress"]("starting a local Ray cluster with 4 CPUs")
        state.up = state.up or CLUSTER
        return CLUSTER

    def stop() -> bool:
        was_up, state.up = state.up is not None, None
        return was_up

    monkeypatch.setattr("raytrain.cluster.local.local_cluster.start", start)
    monkeypatch.setattr("raytrain.cluster.local.local_cluster.stop", stop)
    monkeypatch.setattr("raytrain.cluster.local.local_cluster.running", lambda: state.up)
    return state


def test_up_prints_the_address_alone(local: SimpleNamespace) -> None:
    result = runner.invoke(app, ["up", "--cpus", "3", "--gpus", "1"])

    assert (result.exit_code, result.stdout) == (0, "http://127.0.0.1:8265\n")
    assert "starting a local Ray cluster" in result.stderr
    assert "its dashboard asks for the token in RAY_AUTH_TOKEN" in result.stderr
    assert (local.asked["cpus"], local.asked["gpus"]) == (3, 1)


def test_up_twice_says_so(local: SimpleNamespace) -> None:
    runner.invoke(app, ["up"])
    result = runner.invoke(app, ["up", "--cpus", "9"])

    assert result.exit_code == 0
    assert "it was up already" in result.stderr
    assert "left unheard" in result.stderr


def test_one_that_runs_from_before_without_a_token_is_used_with_a_word(
    local: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CLUSTER, "has_token", False)
    result = runner.invoke(app, ["up"])

    assert (result.exit_code, result.stdout) == (0, "http://127.0.0.1:8265\n")
    assert "whoever may use this machine may run code on it" in result.stderr


def test_up_in_json(local: SimpleNamespace) -> None:
    result = runner.invoke(app, ["up", "--json"])

    assert json.loads(result.stdout) == {
        "schema_version": 1,
        "address": "http://127.0.0.1:8265",
        "started": True,
        "cpus": 4,
        "gpus": None,
        "token_in": "RAY_AUTH_TOKEN",
    }


def test_down_stops_it_and_says_when_there_is_none(local: SimpleNamespace) -> None:
    runner.invoke(app, ["up"])

    stopped, nothing = runner.invoke(app, ["down"]), runner.invoke(app, ["down"])

    assert (stopped.exit_code, nothing.exit_code) == (0, 0)
    assert "is stopped" in stopped.stderr
    assert "no local cluster" in nothing.stderr
    assert json.loads(runner.invoke(app, ["down", "--json"]).stdout) == {"schema_version": 1, "stopped": False}
