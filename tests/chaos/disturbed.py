"""A run that everything befalls, one disturbance after another, and what is measured of it."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from raytrain.run import events
from raytrain.run.run_status import RunStatus
from tests.chaos.conftest import up
from tests.chaos.life import (
    STEP_S,
    STEPS,
    TRUTH,
    Life,
    kill_cluster,
    parse_ticks,
    resident_mb,
    wait_for,
)
from tests.integration.conftest import Cli

HANG_LIMIT_S = 20.0


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
        restored = self.life.events(events.Restored)
        started = [event.time for event in restored if event.time > began]
        return started[0] if started else wait_for(self._restored_after(began), "checkpoint restored", 120, self.life)

    def _restored_after(self, began: float) -> Any:
        return lambda: next((event.time for event in self.life.events(events.Restored) if event.time > began), None)

    def kill(self) -> None:
        os.kill(self.chance.choice(self.life.workers()), signal.SIGKILL)
        self.resident.append(resident_mb(self.life.driver()))

    def hang(self) -> None:
        """Stopped between two steps, so that the other rank waits within the all-reduce."""
        rank = len(self.life.events(events.Hung)) % 2
        began = time.time()
        os.kill(self.life.workers()[rank], signal.SIGSTOP)
        hung = self.life.wait_for_event(events.Hung, count=self.counts["hang"], within_s=HANG_LIMIT_S + 40)
        self.noticed_s["watchdog"].append(hung.time - began)
        stacks = Path(hung.stacks).read_text() if hung.stacks else ""
        shown = [f"rank {other}" for other in range(2) if f"=== rank {other}" not in stacks]
        self.complaints["hang"] += [f"no stacks of {who}" for who in shown]
        if hung.rank != rank:
            self.complaints["hang"].append(f"rank {rank} was stopped, rank {hung.rank} was blamed")
        if "TensorFlowTrainer.fit" not in stacks and "py-spy could not" not in stacks:
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
        self.cli = replace_address(self.cli, up(self.cli.environment | {"RAYTRAIN_ADDRESS": ""}))
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
        saved = self.life.events(events.CheckpointSaved)
        return max((event.epoch + 1, event.step) for event in saved)

    def _go_on(self, committed: tuple[int, int] | None = None) -> None:
        restored = len(self.life.events(events.Restored))
        self.life.resume()
        first = self.life.wait_for_event(events.Restored, count=restored + 1)
        if committed is not None and (first.epoch + 1, first.step) < committed:
            self.lost_epochs.append(f"{committed} was saved, {(first.epoch + 1, first.step)} restored")


def replace_address(cli: Cli, url: str) -> Cli:
    return replace(cli, environment=cli.environment | {"RAYTRAIN_ADDRESS": url}, url=url)
