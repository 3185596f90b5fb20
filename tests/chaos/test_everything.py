"""One run on a Ray cluster goes through everything and ends as if nothing had been; another loses a worker a minute.

Rows 1 to 4, 6, 12, 14, 15, 17, 19 and 20.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from raytrain.client.submit import submit
from raytrain.cluster.connect import connect_to
from raytrain.run import events
from raytrain.run.run_status import RunStatus
from raytrain.spec.load import load_job
from tests.chaos.crew import Crew, fork_server
from tests.chaos.disturbed import HANG_LIMIT_S, Disturbed, replace_address
from tests.chaos.ends import End, end_of, undisturbed_end
from tests.chaos.life import (
    STEP_S,
    STEPS,
    TRUTH,
    Life,
    Tick,
    beside,
    held,
    what_is_left,
    write_job,
)
from tests.chaos.replies import LosingProxy
from tests.chaos.table import FULL, found, points
from tests.integration.conftest import Cli

EVERY_STEPS = 2
SUBMITS = 50
SPEC: dict[str, Any] = {
    "checkpoint": {"keep": 2, "every_steps": EVERY_STEPS},
    "restarts": {"max": 200},
    "watchdog": {"step": f"{HANG_LIMIT_S:.0f}s"},
}
# Actors that Ray Train and Ray Data keep one of for each cluster, for their dashboards and their autoscaling.
RAYS_OWN = ("TrainStateActor", "_StatsActor", "_AutoscalingCoordinatorActor")
# What befalls the run, in this order.
SHORT = ["kill", "hang", "stop", "cluster"]
ALL = [*["hang"] * 2, *["stop"] * 20, *["driver"] * 15, *["cluster"] * 5]
KILLS = 50


def submit_at_once(cli: Cli, job: Path, run: str) -> list[str]:
    """One run submitted by many processes at once; what each was told."""
    moment = time.time()
    with ProcessPoolExecutor(SUBMITS, mp_context=fork_server(), max_tasks_per_child=1) as senders:
        sent = [senders.submit(_submit, cli, str(job), run, moment) for _ in range(SUBMITS)]
        return [told.result() for told in sent]


def _submit(cli: Cli, job: str, run: str, moment: float) -> str:
    """Runs in a process of its own."""
    overrides = [f"storage={json.dumps(str(cli.storage))}"]
    loaded = load_job(job, overrides=overrides)
    taken = submit(loaded, address=cli.url, run=run, submitted_at=moment, overrides=overrides, environ=cli.environment)
    return taken.run


@pytest.mark.timeout(2400)
@pytest.mark.skipif(not FULL, reason="20 minutes; the short form takes what one kill costs")
def test_a_kill_a_minute_for_twenty_minutes(cli: Cli, tmp_path: Path) -> None:
    job = write_job(tmp_path / "goodput", **SPEC | {"fit": {"epochs": 100_000}})
    life = Life(cli, cli.submit_detached(job), job)
    began = life.wait_for_tick().time
    chance = random.Random(1)
    kills = 0
    while time.time() < began + 20 * 60:
        time.sleep(60)
        os.kill(chance.choice(life.workers()), signal.SIGKILL)
        kills += 1
    ratio = goodput(life.ticks(), ended=time.time())
    cli("stop", life.run)
    TRUTH.check(life, RunStatus.STOPPED, "stopped_by_user")
    binds = "a new group's start: processes, TensorFlow's import, tracing"
    found(20, f"{kills} kills in 20 minutes: {ratio:.0%} useful steps", held=ratio >= 0.8, binds=binds)


def goodput(ticks: list[Tick], *, ended: float) -> float:
    """The steps that count, as a part of those that an undisturbed run would have made in the same time.

    What a step takes there, with its part of what lies between epochs, is told by the groups while nothing befell them.
    """
    of_one_group = [after.time - before.time for before, after in itertools.pairwise(ticks) if after.pid == before.pid]
    useful = len({(tick.epoch, tick.step) for tick in ticks})
    return useful * statistics.mean(of_one_group) / (ended - ticks[0].time)


@pytest.mark.timeout(7200)
def test_a_run_that_everything_befalls(cli: Cli, crew: Crew, tmp_path: Path) -> None:
    plan = list(points(SHORT, ALL))
    if FULL:
        random.Random(5).shuffle(plan)
        plan += ["kill"] * KILLS
    spec = SPEC | {"fit": {"epochs": 2 * len(plan) + 22}}  # some to spare for when this test is slow to act
    calm = undisturbed_end(crew, tmp_path / "calm", spec)
    fault = {"RAYTRAIN_FAULT": "rank=1,kind=bind", "RAYTRAIN_ALLOW_FAULTS": "1"} if FULL else {}
    job = write_job(tmp_path / "disturbed", env_vars=fault, **spec)
    with LosingProxy(cli.url, lose=SUBMITS // 2) as proxy:
        with held(job):  # fifty processes at once may take longer than the training
            told = submit_at_once(replace_address(cli, proxy.url), job, run := "chaos-20260101-0000-abcd")
        assert proxy.lost == SUBMITS // 2
        disturbed = Disturbed(cli, job, run)
        _go_through(disturbed, plan, told)
    TRUTH.check(disturbed.life, RunStatus.SUCCEEDED, "completed")
    _enter(disturbed, calm, len(plan))


def _go_through(disturbed: Disturbed, plan: list[str], told: list[str]) -> None:
    run = disturbed.run
    disturbed.life.wait_for_tick()
    jobs = [
        info
        for info in connect_to(disturbed.cli.url, disturbed.cli.environment).jobs()
        if info.metadata.get("raytrain_run") == run
    ]
    drivers = disturbed.life.events(events.Submitted)
    found(
        14,
        f"{SUBMITS} submits at once, {SUBMITS // 2} replies lost: {len(jobs)} job, {len(drivers)} driver",
        held=len(jobs) == len(drivers) == 1 and told == [run] * SUBMITS,
    )
    if FULL:
        failed = [event.error for event in disturbed.life.events(events.GroupFailed)]
        kinds = ", ".join(f"{error.kind}: {error.message}" for error in failed)
        found(12, f"on Ray: a port that was taken: {kinds}", held=[error.kind for error in failed] == ["PortTaken"])
    for kind in plan:
        disturbed.befall(kind)
    disturbed.life.wait_until_over()


def _enter(disturbed: Disturbed, calm: End, count: int) -> None:
    """Fills the rows that the run was about; all of them, before any fails."""
    life, counts, noticed = disturbed.life, disturbed.counts, disturbed.noticed_s
    failures = []

    def enter(row: int, figure: str, *, held: bool, binds: str = "", timed: bool = False) -> None:
        try:
            found(row, figure, held=held, binds=binds, timed=timed)
        except AssertionError as error:
            failures.append(error)

    same = end_of(life) == calm
    what = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    enter(1, f"on Ray: one run through {what}: end {'bit-equal' if same else 'another'}", held=same)
    most = max(disturbed.repeated)
    enter(
        2,
        f"on Ray: at most {most} steps again, every_steps: {EVERY_STEPS} (steps of {STEP_S * 1000:.0f} ms)",
        held=most <= EVERY_STEPS,
    )
    median = statistics.median(noticed["kill"])
    figure = f"median of {counts['kill']}: {median:.1f} s from SIGKILL to the next step"
    enter(3, figure, held=median <= 30, timed=True, binds="processes and TensorFlow's import")
    slowest = max(noticed["watchdog"])
    enter(
        4,
        f"{counts['hang']} SIGSTOPs, limit {HANG_LIMIT_S:.0f} s: noticed and ended after {slowest:.1f} s at most;"
        f" {'; '.join(disturbed.complaints['hang']) or 'stacks of all ranks saved'}",
        held=slowest <= HANG_LIMIT_S + 15 and not disturbed.complaints["hang"],
    )
    ended = counts["driver"] + counts["cluster"]
    enter(
        6,
        f"{ended - len(disturbed.lost_epochs)}/{ended} resumed with all that was saved ({counts['driver']} drivers,"
        f" {counts['cluster']} clusters killed) {'; '.join(disturbed.lost_epochs[:3])}",
        held=not disturbed.lost_epochs,
    )
    orphans = disturbed.complaints["stop"]
    enter(
        15,
        f"{counts['stop']}/{counts['stop']} stops resumable, {len(orphans)} orphans",
        held=not orphans,
    )
    left = {
        kind: [name for name in names if name not in RAYS_OWN] for kind, names in what_is_left(disturbed.cli).items()
    }
    files = sorted(path.name for path in beside(disturbed.job, "tmp").iterdir())
    files += sorted(path.name for path in life.paths.root.rglob("*tmp*"))
    resident = disturbed.resident
    grown = max(resident[len(resident) // 2 :]) / max(resident[: len(resident) // 2 + 1])
    enter(
        17,
        f"after {count} disturbances: {len(left['actors'])} actors {left['actors'] or ''},"
        f" {len(left['placement_groups'])} placement groups,"
        f" {len(files)} files {files[:3] if files else ''}; driver's RSS {resident[0]:.0f} to {resident[-1]:.0f} MB",
        held=not left["actors"] and not left["placement_groups"] and not files and grown <= 1.1,
    )
    told = disturbed.complaints["cluster"]
    lost_s = max(disturbed.logs_lost_s)
    enter(
        19,
        f"{counts['cluster']} clusters destroyed: {'; '.join(told[:3]) or 'all metrics told'},"
        f" {lost_s:.1f} s of logs lost",
        held=not told and lost_s <= 5,
    )
    cost_s = statistics.median(noticed["kill"])
    blocked_s = statistics.median(event.blocked_s for event in life.events(events.CheckpointSaved) if event.step == 0)
    within_s = statistics.median(event.blocked_s for event in life.events(events.CheckpointSaved) if event.step > 0)
    share = blocked_s / (STEPS * STEP_S)
    # The full form has a kill a minute for twenty minutes; here a run is killed as soon as it is up again.
    estimate = f"a kill costs {cost_s:.1f} s: {max(0.0, 1 - cost_s / 60):.0%} useful at one a minute; "
    enter(
        20,
        f"{'' if FULL else estimate}a checkpoint holds up training {blocked_s * 1000:.0f} ms at an epoch's end"
        f" ({share:.1%} of these epochs), {within_s * 1000:.0f} ms within one",
        held=(FULL or cost_s <= 12) and share <= 0.02,
        timed=True,
        binds="a new group's start: processes, TensorFlow's import, tracing",
    )
    if failures:
        raise failures[0]
