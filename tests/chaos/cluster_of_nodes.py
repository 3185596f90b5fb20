"""A Ray cluster of several nodes on one machine, which can be told to go, taken away, and added under a run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from raytrain.cluster.local.machine import free_port
from tests.integration.conftest import Cli


class Nodes:
    """A head for the driver, and `spots` nodes with room for one worker each."""

    def __init__(self, spots: int) -> None:
        from ray.cluster_utils import Cluster

        port = free_port()
        self._cluster = Cluster()
        self._numbers = itertools.count()
        self.head = self._add(num_cpus=2, include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=port)
        self._spots: list[Any] = []
        for _ in range(spots):
            self.add_spot()
        self.url = f"http://127.0.0.1:{port}"

    def cli(self, folder: Path) -> Cli:
        """The command against this cluster; runs of one folder are known to every cluster that is tried there."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "RAYTRAIN_STATE_DIR": str(folder / "state")}
        return Cli(environment=environment | {"RAYTRAIN_ADDRESS": self.url}, storage=folder / "runs", url=self.url)

    def add_spot(self) -> None:
        self._spots.append(self._add(num_cpus=1, resources={"spot": 1}))

    def spot_under(self, pid: int) -> Any:
        """The node that a worker runs on."""
        parents = {parent.pid for parent in psutil.Process(pid).parents()}
        [node] = [node for node in self._spots if node.all_processes["raylet"][0].process.pid in parents]
        return node

    def places_of(self, kind: str) -> list[str]:
        """The ids of the nodes that actors of this class live on."""
        with urllib.request.urlopen(f"{self.url}/api/v0/actors?limit=1000", timeout=10) as answer:
            actors = json.load(answer)["data"]["result"]["result"]
        return [actor["node_id"] for actor in actors if (actor["class_name"], actor["state"]) == (kind, "ALIVE")]

    def announce_end(self, node: Any, *, within_s: int) -> None:
        """Gives the notice that a provider gives before it takes a node away."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", self._cluster.address]
        command += ["--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
        command += ["--reason-message", "the price rose", "--deadline-remaining-seconds", str(within_s)]
        done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def remove(self, node: Any) -> None:
        """Takes a spot node away with all that runs on it."""
        self._spots.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()

    def _add(self, **options: Any) -> Any:
        """A node with a folder of its own for the jobs' files, as on a machine of its own."""
        folder = f"runtime_resources_{next(self._numbers)}"
        return self._cluster.add_node(object_store_memory=100 * 2**20, runtime_env_dir_name=folder, **options)
