"""Several nodes on one machine, of which one after another is taken away under a run: row 5."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raytrain.run.run_status import RunStatus
from tests.chaos.cluster_of_nodes import Nodes
from tests.chaos.crew import Crew
from tests.chaos.ends import end_of, undisturbed_end
from tests.chaos.life import STEPS, TRUTH, Life, write_job
from tests.chaos.table import found, points

SEED = 7


@pytest.mark.timeout(1800)
def test_nodes_that_are_taken_away(start_nodes: Callable[[int], Nodes], crew: Crew, tmp_path: Path) -> None:
    nodes = start_nodes(3)
    cli = nodes.cli(tmp_path)
    removals = len(points([0], list(range(10))))
    spec: dict[str, Any] = {
        "scaling": {"workers": 2, "resources_per_worker": {"spot": 1}},
        "restarts": {"max": 30},
        "fit": {"epochs": 2 * removals + 10},  # some to spare for when this test is slow to act
    }
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    job = write_job(tmp_path / "job", **spec)
    life = Life(cli, cli.submit_detached(job), job)
    chance = random.Random(SEED)
    noticed_s = []
    for number in range(removals):
        before = life.wait_for_tick(epoch=2 * number + 1, step=chance.randrange(STEPS))
        pids = life.workers()
        nodes.remove(nodes.spot_under(chance.choice(pids)))
        nodes.add_spot()
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
