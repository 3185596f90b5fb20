"""Nodes that go after a notice, clusters that shrink and grow under a run, and drivers that are told to end.

The rows are 1 and 2: whatever is announced costs a step at most, and the end is the same.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.run import events
from raytrain.run.run_status import RunStatus
from tests.chaos.cluster_of_nodes import Nodes
from tests.chaos.crew import Crew
from tests.chaos.ends import end_of, undisturbed_end
from tests.chaos.life import MODEL, TRUTH, Life, wait_for, write_job
from tests.chaos.table import FULL, found
from tests.integration.conftest import Cli

NOTICE_S = 60
ON_SPOTS = {"workers": 2, "resources_per_worker": {"spot": 1}}

# Without what draws or normalises by worker: the answer of any number of workers is that of one.
PLAIN = MODEL.replace("        keras.layers.BatchNormalization(),\n        keras.layers.Dropout(0.3),\n", "")


@pytest.mark.timeout(600)
def test_a_workers_node_that_goes_after_a_notice(
    start_nodes: Callable[[int], Nodes], crew: Crew, tmp_path: Path
) -> None:
    spec: dict[str, Any] = {"scaling": ON_SPOTS, "restarts": {"max": 0}, "fit": {"epochs": 25}}
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    nodes = start_nodes(3)
    job = write_job(tmp_path / "job", **spec)
    cli = nodes.cli(tmp_path)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_for_tick(epoch=1)
    assert nodes.places_of("Mailbox") == [nodes.head.node_id], "it goes with the driver, not with a worker"
    going = nodes.spot_under(life.workers()[1])
    nodes.announce_end(going, within_s=NOTICE_S)
    restored = life.wait_for_event(events.Restored)
    life.wait_for_tick(after=restored.time)
    assert going not in [nodes.spot_under(pid) for pid in life.workers()]
    nodes.remove(going)
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    again, charged = _repeated(life), life.status()["restarts"]
    same = end_of(life) == calm
    found(
        2,
        f"a worker's node announced its end: {again} steps again, {charged} restarts charged",
        held=again <= 1 and charged == 0 and not life.events(events.GroupFailed),
    )
    found(1, f"a worker's node announced its end: end {'bit-equal' if same else 'another'}", held=same)


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FULL, reason="two clusters; the short form takes a worker's node")
def test_the_drivers_own_node_goes_after_a_notice(
    start_nodes: Callable[[int], Nodes], crew: Crew, tmp_path: Path
) -> None:
    """The driver runs on the head: with it goes the cluster, and another takes the run up."""
    spec: dict[str, Any] = {"scaling": ON_SPOTS, "fit": {"epochs": 10}}
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    nodes = start_nodes(2)
    job = write_job(tmp_path / "job", **spec)
    cli = nodes.cli(tmp_path)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_for_tick(epoch=1)
    nodes.announce_end(nodes.head, within_s=NOTICE_S)
    TRUTH.check(life, RunStatus.STOPPED, "preempted")
    nodes = start_nodes(2)
    life = Life(nodes.cli(tmp_path), life.run, job)
    life.resume()
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    again, same = _repeated(life), end_of(life) == calm
    found(
        6,
        f"the driver's node announced its end: stopped, resumed on another cluster, {again} steps again,"
        f" end {'bit-equal' if same else 'another'}",
        held=same and again <= 1,
    )


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FULL, reason="a group trains for a minute before it may grow")
def test_a_run_that_shrinks_and_grows(start_nodes: Callable[[int], Nodes], crew: Crew, tmp_path: Path) -> None:
    epochs = 75
    spec: dict[str, Any] = {"checkpoint": {"every_steps": 4}, "fit": {"epochs": epochs}}
    calm = undisturbed_end(crew, tmp_path / "calm", spec, model=PLAIN)
    scaling = ON_SPOTS | {"workers": {"min": 1, "max": 2}}
    nodes = start_nodes(2)
    job = write_job(tmp_path / "job", model=PLAIN, scaling=scaling, **spec)
    cli = nodes.cli(tmp_path)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_for_tick(epoch=1, step=5)
    nodes.remove(nodes.spot_under(life.workers()[1]))
    life.wait_for_event(events.Resized)
    restored = life.wait_for_event(events.Restored)
    life.wait_for_tick(after=restored.time)
    nodes.add_spot()
    life.wait_for_event(events.Resized, count=2, within_s=180)
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    sizes = [(event.before, event.workers) for event in life.events(events.Resized)]
    grown = life.events(events.Restored)[-1]
    assert grown.step == 0, "it grows at an epoch's edge"
    assert any("up to rounding" in event.message for event in life.events(events.Warned)), "the promise is told"
    assert life.status()["global_batch_size"] == 16
    end = end_of(life)
    once = [row["epoch"] for row in end.history] == list(range(epochs))
    apart = _apart(end.arrays, calm.arrays)
    found(
        5,
        f"a node lost that none replaces, and one added later: workers {sizes}, every epoch told once: {once},"
        f" weights within {apart:.0e} of those of an undisturbed run",
        held=sizes == [(2, 1), (1, 2)] and once and apart < 1e-5,
    )


@pytest.mark.timeout(600)
@pytest.mark.skipif(not FULL, reason="its short forms are `raytrain stop` and a stand-in for the cluster")
def test_a_driver_that_is_lost_and_then_told_to_end(cli: Cli, crew: Crew, tmp_path: Path) -> None:
    """A waiting `submit` takes the run up with the job as it was submitted; SIGTERM comes from the platform."""
    spec: dict[str, Any] = {"restarts": {"driver": 1}, "fit": {"epochs": 25}}
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    job = write_job(tmp_path / "job", name="lost", **spec)
    waiting = cli.start("submit", job, "--storage", cli.storage)
    [root] = wait_for(lambda: list(cli.storage.glob("lost-*")) or None, "run's directory", 60)
    life = Life(cli, root.name, job)
    life.wait_for_tick(epoch=1)
    (job / "model.py").write_text("raise ValueError('no longer the job that was submitted')")
    os.kill(life.driver(), signal.SIGKILL)
    restored = life.wait_for_event(events.Restored)
    life.wait_for_tick(after=restored.time)
    os.kill(life.driver(), signal.SIGTERM)
    _, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 11, told
    TRUTH.check(life, RunStatus.STOPPED, "stopped_by_user")
    (job / "model.py").write_text(MODEL)
    life.resume()
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    same = end_of(life) == calm
    found(
        6,
        "a driver killed, taken up by a waiting submit though the folder had changed, then ended by SIGTERM and"
        f" resumed: end {'bit-equal' if same else 'another'}",
        held=same,
    )


def _repeated(life: Life) -> int:
    """How many steps were done more than once."""
    ticks = life.ticks()
    return len(ticks) - len({(tick.epoch, tick.step) for tick in ticks})


def _apart(ours: list[bytes], theirs: list[bytes]) -> float:
    """The largest difference of two checkpoints' variables."""
    assert [len(array) for array in ours] == [len(array) for array in theirs]
    pairs = [
        (np.frombuffer(our, np.float32), np.frombuffer(their, np.float32))
        for our, their in zip(ours, theirs, strict=True)
    ]
    return max(float(np.abs(our - their).max()) for our, their in pairs)
