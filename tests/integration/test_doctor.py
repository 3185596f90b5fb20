"""`raytrain doctor` on the suite's cluster: processes on its node, a real storage, a real sum of two workers."""

from __future__ import annotations

import json
from pathlib import Path

import raytrain
from tests.integration.conftest import Cli
from tests.integration.test_python_api import check_examples


def test_a_cluster_is_looked_over(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", "--storage", tmp_path / "runs", "--json")

    assert done.returncode == 4, done.stdout + done.stderr  # the suite's cluster has GPUs in name only
    told = json.loads(done.stdout)
    found = {finding["check"]: (finding["state"], finding["says"]) for finding in told["findings"]}
    assert not told["ok"] and told["address"] == cli.url
    assert [*found] == [
        *("cluster", "door", "client", "nodes", "versions", "gpus", "clocks", "room", "storage", "ports", "collectives")
    ]
    assert found["gpus"] == ("fail", "127.0.0.1: Ray counts 2, TensorFlow sees 0")
    assert {state for check, (state, _) in found.items() if check not in ("gpus", "ports")} == {"ok"}
    assert found["ports"][0] == "skip"
    assert found["storage"] == ("ok", f"{tmp_path / 'runs'}: written and seen by every node")
    assert found["collectives"] == ("ok", "2 workers sum right with TensorFlow")
    assert "tensorflow 2." in found["versions"][1]
    assert [*(tmp_path / "runs").iterdir()] == []  # nothing is left behind

    (tmp_path / "file").touch()
    refused = cli("doctor", "--storage", tmp_path / "file", "--quiet")
    assert refused.returncode == 4
    [line] = [line for line in refused.stdout.splitlines() if line.startswith("fail  storage")]
    assert "cannot write it" in line


def test_python_says_the_same(here: None) -> None:
    assert check_examples(raytrain.doctor, {"raytrain": raytrain}) == 1
