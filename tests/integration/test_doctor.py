"""`raytrain doctor` on the suite's cluster: processes on its node, a real storage, a real sum of two workers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.conftest import Cli


def test_a_cluster_is_looked_over(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", "--storage", tmp_path / "runs", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    found = {finding["check"]: (finding["state"], finding["says"]) for finding in told["findings"]}
    assert told["ok"] and told["address"] == cli.url
    assert [*found] == [
        *("cluster", "door", "client", "nodes", "versions", "gpus", "clocks", "room", "storage", "ports", "collectives")
    ]
    assert found["gpus"][0] == found["ports"][0] == "skip"
    assert found["storage"] == ("ok", f"{tmp_path / 'runs'}: written and seen by every node")
    assert found["collectives"] == ("ok", "2 workers sum right with TensorFlow")
    assert "tensorflow 2." in found["versions"][1]
    assert [*(tmp_path / "runs").iterdir()] == []  # nothing is left behind

    (tmp_path / "file").touch()
    refused = cli("doctor", "--storage", tmp_path / "file", "--quiet")
    assert refused.returncode == 4
    [line] = [line for line in refused.stdout.splitlines() if line.startswith("fail")]
    assert "storage" in line and "cannot write it" in line
