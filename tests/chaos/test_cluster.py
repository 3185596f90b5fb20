"""Runs on a real Ray cluster that lose workers, drivers and the cluster itself: rows 1 to 4, 6, 9 to 15 and 17 to 20.

One run goes through most of it, one disturbance after another, and has to end as if there had been none.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import statistics
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytrain.cluster.connect import connect_to
from raytrain.cluster.submit import submit
from raytrain.events import types
from raytrain.run import RunStatus
from raytrain.spec.load import load_job
from tests.chaos.conftest import up
from tests.chaos.life import (
    MODEL,
    STEP_S,
    STEPS,
    Life,
    Truth,
    beside,
    kill_cluster,
    parse_ticks,
    resident_mb,
    wait_for,
    what_is_left,
    write_job,
)
from tests.chaos.replies import LosingProxy
from tests.chaos.table import FULL, found, points
from tests.integration.conftest import Cli

TRUTH = Truth()
EVERY_STEPS = 2
HANG_LIMIT_S = 8.0
SUBMITS = 50
SPEC: dict[str, Any] = {
    "checkpoint": {"keep": 2, "every_steps": EVERY_STEPS},
    "restarts": {"max": 200},
    "watchdog": {"step": f"{HANG_LIMIT_S:.0f}s"},
}
# What befalls the run, in this order.
SHORT = ["kill", "hang", "stop", "driver", "cluster"]
ALL = [*["hang"] * 2, *["stop"] * 20, *["driver"] * 15, *["cluster"] * 5]
KILLS = 50


class Disturbed:
    """The run that everything befalls, and what was measured of it."""

    def __init__(self, cli: Cli, job: Path, run: str) -> None:
        self.cli, self.job, self.run = cli, job, run
        self.chance = random.Random(20)
        self.counts: Counter[str] = Counter()
        self.noticed_s: dict[str, list[float]] = defaultdict(list)
        self.repeated: list[int] = []
        self.lost_epochs: list[str] = []
        self.complaints: dict[str, list[str]] = defaultdict(list)
        self.logs_lost_s: list[float] = []
        self.resident: list[float] = []

    @property
    def life(self) -> Life:
        return Life(self.cli, self.run, self.job)

    def befall(self, kind: str) -> None:
        """Waits until the run is an epoch further, lets `kind` happen, and sees the run go on."""
        last = max((tick.epoch for tick in self.life.ticks()), default=-1)
        self.life.wait_for_tick(epoch=last + 1, step=self.chance.randrange(STEPS))
        time.sleep(self.chance.uniform(0, STEP_S))
        self.counts[kind] += 1
        began = time.time()
        getattr(self, kind)()
        after = self.life.wait_for_tick(after=self._quiet(began))
        self.noticed_s[kind].append(after.time - began)
        before = [tick for tick in self.life.ticks() if tick.time < after.time]
        self.repeated.append(max(tick.steps_done for tick in before) + 1 - after.steps_done)

    def _quiet(self, began: float) -> float:
        """The moment of the last step of the group that was disturbed."""
        restored = self.life.events(types.Restored)
        started = [event.time for event in restored if event.time > began]
        return started[0] if started else wait_for(self._restored_after(began), "checkpoint restored", 120, self.life)

    def _restored_after(self, began: float) -> Any:
        return lambda: next((event.time for event in self.life.events(types.Restored) if event.time > began), None)

    def kill(self) -> None:
        os.kill(self.chance.choice(self.life.workers()), signal.SIGKILL)
        self.resident.append(resident_mb(self.life.driver()))

    def hang(self) -> None:
        """Stopped between two steps, so that the other rank waits within the all-reduce."""
        rank = len(self.life.events(types.Hung)) % 2
        began = time.time()
        os.kill(self.life.workers()[rank], signal.SIGSTOP)
        hung = self.life.wait_for_event(types.Hung, count=self.counts["hang"], within_s=HANG_LIMIT_S + 40)
        self.noticed_s["watchdog"].append(hung.time - began)
        stacks = Path(hung.stacks).read_text() if hung.stacks else ""
        shown = [f"rank {other}" for other in range(2) if f"=== rank {other}" not in stacks]
        self.complaints["hang"] += [f"no stacks of {who}" for who in shown]
        if hung.rank != rank:
            self.complaints["hang"].append(f"rank {rank} was stopped, rank {hung.rank} was blamed")
        if "on_train_batch_end" not in stacks and "train_function" not in stacks and "py-spy could not" not in stacks:
            self.complaints["hang"].append("the stacks do not show the training")

    def stop(self) -> None:
        done = self.cli("stop", self.run)
        assert done.returncode == 0, done.stderr
        TRUTH.check(self.life, RunStatus.STOPPED, "stopped_by_user")
        self.complaints["stop"] += [f"process {pid} lives on" for pid in self.life.orphans()]
        self._go_on()

    def driver(self) -> None:
        committed = self._committed()
        os.kill(self.life.driver(), signal.SIGKILL)
        TRUTH.check(self.life, RunStatus.FAILED, "driver_lost")
        self._go_on(committed)

    def cluster(self) -> None:
        """Killed as a whole; what a user asks is answered without it, and a new one takes the run up."""
        committed = self._committed()
        kill_cluster(self.cli)
        ended = time.time()
        wait_for(lambda: not self.life.orphans(0) or None, "end of the run's processes", 10)
        self._ask_without_cluster(ended)
        self.cli = replace_address(self.cli, up(self.cli.environment))
        self._go_on(committed)

    def _ask_without_cluster(self, ended: float) -> None:
        life = self.life
        trained = {tick.epoch for tick in life.ticks()}
        told = [row["epoch"] for row in life.history()]
        if told[: len(trained) - 1] != sorted(trained)[:-1]:
            self.complaints["cluster"].append(f"epochs {sorted(trained)} were trained, {told} are told of")
        for arguments in (("status", self.run, "--json"), ("logs", self.run), ("list",)):
            done = self.cli(*arguments)
            if not done.stdout or "Traceback" in done.stderr:
                self.complaints["cluster"].append(f"{arguments[0]} says {done.stderr[-300:]}")
        log = parse_ticks(self.cli("logs", self.run, "--rank", "0").stdout)
        lost = life.ticks()[-1].time - log[-1].time if log else ended - life.ticks()[0].time
        self.logs_lost_s.append(max(0.0, lost))

    def _committed(self) -> tuple[int, int]:
        saved = self.life.events(types.CheckpointSaved)
        return max((event.epoch + 1, event.step) for event in saved)

    def _go_on(self, committed: tuple[int, int] | None = None) -> None:
        restored = len(self.life.events(types.Restored))
        self.life.resume()
        first = self.life.wait_for_event(types.Restored, count=restored + 1)
        if committed is not None and (first.epoch + 1, first.step) < committed:
            self.lost_epochs.append(f"{committed} was saved, {(first.epoch + 1, first.step)} restored")


def replace_address(cli: Cli, url: str) -> Cli:
    return replace(cli, environment=cli.environment | {"RAYTRAIN_ADDRESS": url}, url=url)


def submit_at_once(cli: Cli, job: Path, run: str) -> list[str]:
    """One run submitted many times at once, half of the replies lost; what each sender was told."""
    moment = time.time()
    overrides = [f"storage={json.dumps(str(cli.storage))}"]

    def one(_: int) -> str:
        loaded = load_job(str(job), overrides=overrides)
        taken = submit(
            loaded, address=proxy.url, run=run, submitted_at=moment, overrides=overrides, environ=cli.environment
        )
        return taken.run

    with LosingProxy(cli.url, lose=SUBMITS // 2) as proxy, ThreadPoolExecutor(SUBMITS) as senders:
        told = list(senders.map(one, range(SUBMITS)))
        assert proxy.lost == SUBMITS // 2
    return told


@pytest.mark.timeout(7200)
def test_a_run_that_everything_befalls(cli: Cli, tmp_path: Path) -> None:
    plan = list(points(SHORT, ALL))
    if FULL:
        random.Random(5).shuffle(plan)
        plan += ["kill"] * KILLS
    spec = SPEC | {"fit": {"epochs": 2 * len(plan) + 4}}
    calm = Life(cli, cli.submit_detached(write_job(tmp_path / "calm", step_s=0.0, **spec)), tmp_path / "calm")
    job = write_job(tmp_path / "disturbed", **spec)
    calm.wait_until_over()
    TRUTH.check(calm, RunStatus.SUCCEEDED, "completed")
    told = submit_at_once(cli, job, run := "chaos-20260101-0000-abcd")
    disturbed = Disturbed(cli, job, run)
    disturbed.life.wait_for_tick()
    jobs = [info for info in connect_to(cli.url).jobs() if info.metadata.get("raytrain_run") == run]
    drivers = disturbed.life.events(types.Submitted)
    found(
        14,
        f"{SUBMITS} submits at once, {SUBMITS // 2} replies lost: {len(jobs)} job, {len(drivers)} driver",
        held=len(jobs) == len(drivers) == 1 and told == [run] * SUBMITS,
    )
    for kind in plan:
        disturbed.befall(kind)
    disturbed.life.wait_until_over()
    TRUTH.check(disturbed.life, RunStatus.SUCCEEDED, "completed")
    _enter(disturbed, calm, len(plan))


def _enter(disturbed: Disturbed, calm: Life, count: int) -> None:
    """Fills the rows that the run was about; all of them, before any fails."""
    life, counts, noticed = disturbed.life, disturbed.counts, disturbed.noticed_s
    failures = []

    def enter(row: int, figure: str, *, held: bool, binds: str = "", timed: bool = False) -> None:
        try:
            found(row, figure, held=held, binds=binds, timed=timed)
        except AssertionError as error:
            failures.append(error)

    same = life.history() == calm.history() and life.status()["test"] == calm.status()["test"]
    same = same and weights_of(life) == weights_of(calm)
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
    left = what_is_left(disturbed.cli.url)
    files = sorted(path.name for path in beside(disturbed.job, "tmp").iterdir())
    files += sorted(path.name for path in life.paths.root.rglob("*tmp*"))
    resident = disturbed.resident
    grown = max(resident[len(resident) // 2 :]) / max(resident[: len(resident) // 2 + 1])
    enter(
        17,
        f"after {count} disturbances: {len(left['actors'])} actors, {len(left['placement_groups'])} placement groups,"
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
    blocked = sum(event.blocked_s for event in life.events(types.CheckpointSaved))
    trained_s = len(life.ticks()) * STEP_S
    enter(
        20,
        f"a kill costs {cost_s:.1f} s: {max(0.0, 1 - cost_s / 60):.0%} useful at one a minute; training stood still"
        f" {blocked / trained_s:.2%} of its time for checkpoints",
        held=cost_s <= 12 and blocked / trained_s <= 0.02,
        timed=True,
        binds="a new group's start: processes, TensorFlow's import, tracing",
    )
    if failures:
        raise failures[0]


def weights_of(life: Life) -> list[bytes]:
    """The last checkpoint's arrays, which hold the optimizer's and the random generators' state too."""
    from raytrain.worker import checkpoint

    read = checkpoint.read_newest(life.paths.checkpoints, skipped=lambda path, why: None)
    assert read is not None
    return [array.tobytes() for array in read[1].variables]


BUGS = {
    "build": (
        MODEL.replace("    model = keras", '    raise ValueError("a bug of mine")\n    model = keras', 1),
        "build_model",
    ),
    "step": (
        MODEL.replace(
            "    model.compile(",
            '    def spoilt(y_true, y_pred):\n        raise ValueError("a bug of mine")\n    model.compile(',
        ).replace('loss="binary_crossentropy"', "loss=spoilt"),
        "spoilt",
    ),
    "callback": (
        MODEL.replace("        pass", '        if self.epoch == 1:\n            raise ValueError("a bug of mine")'),
        "bug",
    ),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", points(["callback"], list(BUGS)))
def test_a_bug_of_the_users(where: str, cli: Cli, tmp_path: Path) -> None:
    model, _ = BUGS[where]
    line = next(number for number, text in enumerate(model.splitlines(), 1) if "a bug of mine" in text)
    raised = 'raise ValueError("a bug of mine")'
    noted = 'open(os.environ["TICKS"] + "/raised", "a").write(str(time.time()) + " "); ' + raised
    job = write_job(tmp_path / where, model=model.replace(raised, noted), scaling={"workers": 2}, step_s=0.05)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_until_over()
    TRUTH.check(life, RunStatus.FAILED, "user_code")
    told = life.status()
    finished = life.events(types.RunFinished)[-1].time
    moments = [float(text) for text in (beside(job, "ticks") / "raised").read_text().split()]
    error = told["error"]
    place = f"{Path(str(error['file'])).name}:{error['line']}"
    groups = len(life.events(types.AttemptStarted))
    found(
        10,
        f"raised in {where}: {groups} attempt, {place}, {finished - min(moments):.1f} s after the raise",
        held=(groups, place) == (1, f"model.py:{line}") and "a bug of mine" in error["message"],
    )
    if finished - min(moments) > 20:
        found(10, "too late", held=False, timed=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("step_s", points([0.05], [0.05, 1.5]))
def test_a_crash_at_the_same_step(step_s: float, cli: Cli, tmp_path: Path) -> None:
    model = MODEL.replace("        pass", "        if (self.epoch, batch) == (1, 2):\n            os._exit(1)")
    job = write_job(tmp_path / "crash", model=model, scaling={"workers": 1}, step_s=step_s, restarts={"max": 3})
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_until_over()
    TRUTH.check(life, RunStatus.FAILED, "worker_lost")
    groups = len(life.events(types.AttemptStarted))
    found(
        11,
        f"{groups} attempts with restarts.max: 3, steps of {step_s * 1000:.0f} ms",
        held=groups <= 2,
        binds="where a rank died is known from its last heartbeat only",
    )


@pytest.mark.timeout(300)
def test_more_than_the_cluster_has(cli: Cli, tmp_path: Path) -> None:
    job = write_job(tmp_path / "large")
    taken = []
    for setting in ("scaling.workers=9", "scaling.gpus_per_worker=1", "scaling.cpus_per_worker=64"):
        more = ("--set", "scaling.workers=3") if "gpus" in setting else ()
        began = time.monotonic()
        done = cli("submit", job, "--storage", cli.storage, "--set", setting, *more)
        taken.append(time.monotonic() - began)
        assert done.returncode == 3, done.stderr
        assert setting.partition("=")[0] in done.stderr
    found(13, f"refused after {max(taken):.1f} s at most", held=max(taken) <= 5, timed=True)


@pytest.mark.timeout(300)
def test_room_that_does_not_come(cli: Cli, tmp_path: Path) -> None:
    """Two runs that need more together than there is: the second waits, says for what, and gives up."""
    first_job = write_job(tmp_path / "first", scaling={"workers": 3, "cpus_per_worker": 1}, fit={"epochs": 500})
    first = Life(cli, cli.submit_detached(first_job), first_job)
    first.wait_for_event(types.Placed)
    limit_s = 8.0
    job = write_job(tmp_path / "second", scaling={"workers": 3, "queue_timeout": f"{limit_s:.0f}s"})
    second = Life(cli, cli.submit_detached(job), job)
    second.wait_until_over()
    TRUTH.check(second, RunStatus.FAILED, "resources")
    queued = second.events(types.Queued)
    waited = second.events(types.RunFinished)[-1].time - second.events(types.AttemptStarted)[0].time
    found(
        13,
        f"no room for {limit_s:.0f} s: ended after {waited:.1f} s, having said it waits for"
        f" {queued[0].needs if queued else 'nothing'}",
        held=bool(queued) and waited <= limit_s + 10,
    )
    cli("stop", first.run, "--now")
    TRUTH.check(first, RunStatus.STOPPED, "stopped_by_user")


@pytest.mark.timeout(600)
@pytest.mark.skipif(not FULL, reason="its short form runs without Ray, in test_workers.py")
def test_a_diverged_run_is_resumed(cli: Cli, tmp_path: Path) -> None:
    fault = {"RAYTRAIN_FAULT": "rank=1,epoch=1,step=2,kind=nan", "RAYTRAIN_ALLOW_FAULTS": "1"}
    job = write_job(tmp_path / "nan", env_vars=fault, step_s=0.0)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_until_over()
    TRUTH.check(life, RunStatus.FAILED, "diverged")
    life.resume()
    life.wait_until_over()
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    found(9, "on Ray: diverged, resumed, completed", held=len(life.history()) == 4)


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
    ticks = life.ticks()
    useful = len({(tick.epoch, tick.step) for tick in ticks})
    step_s = statistics.median(after.time - before.time for before, after in itertools.pairwise(ticks))
    ratio = useful * step_s / (time.time() - began)
    cli("stop", life.run)
    TRUTH.check(life, RunStatus.STOPPED, "stopped_by_user")
    binds = "a new group's start: processes, TensorFlow's import, tracing"
    found(20, f"{kills} kills in 20 minutes: {ratio:.0%} useful steps", held=ratio >= 0.8, binds=binds)


def test_the_status_was_true_all_along() -> None:
    """The last test of the file."""
    if TRUTH.compared == 0:
        pytest.skip("nothing else was run")
    figure = f"{len(TRUTH.wrong)} of {TRUTH.compared} terminal states wrong {'; '.join(TRUTH.wrong[:3])}"
    found(18, figure, held=not TRUTH.wrong)
