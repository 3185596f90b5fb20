"""Several nodes on one machine, of which one after another is taken away under a run: row 5."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from raytrain.cluster.machine import free_port
from raytrain.run import RunStatus
from tests.chaos.crew import Crew
from tests.chaos.ends import end_of, undisturbed_end
from tests.chaos.life import STEPS, TRUTH, Life, write_job
from tests.chaos.table import found, points
from tests.integration.conftest import Cli

SEED = 7


class Nodes:
    """A head for the driver, and nodes with room for one worker each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        port = free_port()
        self._cluster = Cluster()
        self._numbers = itertools.count()
        self._add(num_cpus=2, include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=port)
        self._spots: list[Any] = []
        for _ in range(3):
            self.add_spot()
        self.url = f"http://127.0.0.1:{port}"

    def add_spot(self) -> None:
        self._spots.append(self._add(num_cpus=1, resources={"spot": 1}))

    def _add(self, **options: Any) -> Any:
        """A node with a folder of its own for the jobs' files, as on a machine of its own."""
        folder = f"runtime_resources_{next(self._numbers)}"
        return self._cluster.add_node(object_store_memory=100 * 2**20, runtime_env_dir_name=folder, **options)

    def remove_under(self, pid: int) -> None:
        """Kills the node that a worker runs on, and puts a new one beside the others."""
        parents = {parent.pid for parent in psutil.Process(pid).parents()}
        [node] = [node for node in self._spots if node.all_processes["raylet"][0].process.pid in parents]
        self._spots.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        self.add_spot()

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    nodes = Nodes()
    yield nodes
    nodes.close()


@pytest.mark.timeout(1800)
def test_nodes_that_are_taken_away(nodes: Nodes, crew: Crew, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RAYTRAIN_STATE_DIR": str(tmp_path / "state")}
    cli = Cli(environment=environment | {"RAYTRAIN_ADDRESS": nodes.url}, storage=tmp_path / "runs", url=nodes.url)
    removals = len(points([0], list(range(10))))
    spec: dict[str, Any] = {
        "scaling": {"workers": 2, "resources_per_worker": {"spot": 1}},
        "restarts": {"max": 30},
        "fit": {"epochs": 2 * removals + 2},
    }
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    job = write_job(tmp_path / "job", **spec)
    life = Life(cli, cli.submit_detached(job), job)
    chance = random.Random(SEED)
    noticed_s = []
    for number in range(removals):
        before = life.wait_for_tick(epoch=2 * number + 1, step=chance.randrange(STEPS))
        pids = life.workers()
        nodes.remove_under(chance.choice(pids))
        after = life.wait_for_tick(after=before.time + 1.0, epoch=0, within_s=180)
        while after.pid in pids:
            after = life.wait_for_tick(after=after.time, within_s=180)
        noticed_s.append(after.time - before.time)
    life.wait_until_over()
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    same = end_of(life) == calm
    found(
        5,
        f"{removals}/{removals} nodes removed under a worker, next step after {max(noticed_s):.0f} s at most,"
        f" end {'bit-equal' if same else 'another'}",
        held=same,
    )
