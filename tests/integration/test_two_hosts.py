"""A cluster of two hosts, seen from a third: other addresses, no shared loopback, a token, TLS at the door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from tests.hosts import HERE, hosts, on, why_not
from tests.integration.conftest import JOBS
from tests.tls_door import tls_door

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1800), pytest.mark.processes]

TOKEN = "a-token-that-nothing-may-show"
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


@dataclass(frozen=True, kw_only=True)
class There:
    """The client's side of the cluster."""

    environment: dict[str, str]
    nodes: list[str]
    folder: Path

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "raytrain", *map(str, arguments)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("hosts")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAY", "RAYTRAIN"))}
    path = {"PATH": f"{Path(sys.executable).parent}:{plain['PATH']}", "HOME": str(folder)}
    ray = plain | path | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
    ray |= {"RAY_TRAIN_ENABLE_STATE_TRACKING": "1", "RAY_enable_worker_prestart": "0"}
    with hosts(2) as (head, node):
        common = ["--num-cpus=2", "--disable-usage-stats"]
        first = [f"--node-ip-address={head}", "--port=6379", f"--dashboard-host={head}", "--dashboard-port=8265"]
        started = [
            ["start", "--head", *first, f"--temp-dir={folder / 'ray'}", *common],
            ["start", f"--address={head}:6379", f"--node-ip-address={node}", *common],
        ]
        try:
            for address, arguments in zip((head, node), started, strict=True):
                done = subprocess.run(
                    [*on(address, own=folder / "ray"), *RAY, *arguments],
                    env=ray,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stdout + done.stderr
            with tls_door(folder, HERE, (head, 8265)) as (url, authority):
                client = {"RAYTRAIN_STATE_DIR": str(folder / "state"), "RAY_AUTH_TOKEN": TOKEN}
                client |= {"REQUESTS_CA_BUNDLE": str(authority), "RAYTRAIN_ADDRESS": url}
                yield There(environment=plain | path | client, nodes=[head, node], folder=folder)
        finally:
            end_all()


def end_all() -> None:
    """Ends every process of the cluster, and of its jobs: those that have the token."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_AUTH_TOKEN") == TOKEN:
                process.kill()
        except psutil.Error:
            continue


def test_the_cluster_is_looked_over_and_trains_across_both(there: There) -> None:
    done = there("doctor", "--storage", there.folder / "runs", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {finding["check"]: (finding["state"], finding["says"]) for finding in json.loads(done.stdout)["findings"]}
    assert found["door"] == ("ok", "it asks for Ray's token")
    assert found["nodes"][1].startswith("2 alive")
    assert found["ports"] == ("ok", "every node reaches every other")
    assert found["collectives"] == ("ok", "2 workers sum right with TensorFlow")

    options = ["--workers", "2", "--set", "scaling.cpus_per_worker=1.5", "--set", "fit.epochs=2"]
    done = there("submit", JOBS / "digits", "--storage", there.folder / "runs", *options, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["status"], result["epochs"], result["workers"]) == ("SUCCEEDED", 2, 2)
    events = [json.loads(line) for line in (Path(result["storage"]) / "events.jsonl").read_text().splitlines()]
    [placed] = [event for event in events if event["type"] == "placed"]
    assert {TOKEN in json.dumps(event) for event in events} == {False}
    assert len({rank["node"] for rank in placed["ranks"]}) == 2
    assert len(json.loads(there("metrics", result["run"], "--json").stdout)["epochs"]) == 2
    assert TOKEN not in there("logs", result["run"]).stdout


def test_who_has_no_token_or_does_not_trust_the_door_is_told(there: There) -> None:
    without = {name: value for name, value in there.environment.items() if name != "RAY_AUTH_TOKEN"}
    wrong = there.environment | {"RAY_AUTH_TOKEN": "another"}
    strange = {name: value for name, value in there.environment.items() if name != "REQUESTS_CA_BUNDLE"}
    for environment, says in ((without, "no token was sent"), (wrong, "not the cluster's"), (strange, "TLS failure")):
        refused = replace(there, environment=environment)("submit", JOBS / "digits", "--no-wait")
        assert refused.returncode == 4 and says in refused.stderr, refused.stderr
