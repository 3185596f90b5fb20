"""One run on a real cluster as seen from outside: its log, its processes, and what its training left of each step.

What the training says of itself is checked against the ground truth: a file beside the run, to which the user's own
callback adds a line after every step, and the table of the machine's processes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from raytrain.cluster.local.cluster_processes import cluster_processes
from raytrain.cluster.local.cluster_record import read_record
from raytrain.run import events
from raytrain.run.event_log import read_events
from raytrain.run.lease import read_leases
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from tests.integration.conftest import Cli

STEPS = 6
STEP_S = 0.2

DATA = """
import numpy as np

def load(rows=96, seed=1):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, 6)).astype(np.float32)
    return {"x": features, "y": (features[:, :2].sum(axis=1) > 0).astype(np.float32)}

def validation():
    return load(19, 2)
"""
MODEL = (
    DATA
    + """
import json, os, pathlib, time
import keras

def build_model():
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy", "AUC"])
    return model

class Tick(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        while epoch == 1 and os.path.exists(os.environ["TICKS"] + "/hold"):
            time.sleep(0.05)
    def on_train_batch_end(self, batch, logs=None):
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        line = f"tick {time.time():.3f} {os.getpid()} {self.epoch} {batch}"
        print(line, flush=True)
        with open(os.environ["TICKS"] + f"/{rank}", "a") as file:
            file.write(line + "\\n")
        self.bug(batch)
        time.sleep(float(os.environ["STEP_S"]))
    def bug(self, batch):
        pass

def callbacks():
    return [Tick()]
"""
)

T = TypeVar("T")


def write_job(folder: Path, *, name: str = "chaos", model: str = MODEL, step_s: float = STEP_S, **spec: Any) -> Path:
    """A job folder; the ticks of its training and its temporary files come to lie beside it."""
    for part in (folder, beside(folder, "ticks"), beside(folder, "tmp")):
        part.mkdir(parents=True)
    (folder / "model.py").write_text(model)
    scaling = {"workers": 2} | spec.pop("scaling", {})
    environment = {
        "TICKS": str(beside(folder, "ticks")),
        "TMPDIR": str(beside(folder, "tmp")),
        "STEP_S": str(step_s),
    } | spec.pop("env_vars", {})
    body = {
        "name": name,
        "model": "model.py:build_model",
        "callbacks": "model.py:callbacks",
        "data": {
            "train": {"python": "model.py:load"},
            "validation": {"python": "model.py:validation"},
            "features": "x",
            "label": "y",
        },
        "fit": {"epochs": 4, "global_batch_size": 16} | spec.pop("fit", {}),
        "scaling": scaling,
        "environment": {"env_vars": environment},
        **spec,
    }
    (folder / "job.yaml").write_text(json.dumps(body, indent=1))
    return folder


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """While the block runs, the job's training waits as its second epoch begins."""
    hold = beside(folder, "ticks") / "hold"
    hold.touch()
    try:
        yield
    finally:
        hold.unlink()


def beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}-{what}")


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A step that is done: when, in which process, and which one of which epoch, both counted from 0."""

    time: float
    pid: int
    epoch: int
    step: int

    @property
    def steps_done(self) -> int:
        return self.epoch * STEPS + self.step + 1


class Life:
    """A run that is submitted, followed and disturbed."""

    def __init__(self, cli: Cli, run: str, job: Path) -> None:
        self.cli, self.run, self.job = cli, run, job
        self.paths = RunPaths.of(cli.storage, run)

    # --- what its training really did

    def ticks(self, rank: int = 0) -> list[Tick]:
        try:
            text = (beside(self.job, "ticks") / str(rank)).read_text()
        except OSError:
            return []
        return parse_ticks(text)

    def wait_for_tick(self, *, after: float = 0.0, epoch: int = 0, step: int = 0, within_s: float = 120) -> Tick:
        """The first step at or past that place that ended after the moment `after`."""

        def look() -> Tick | None:
            seen = (tick for tick in self.ticks() if tick.time > after and (tick.epoch, tick.step) >= (epoch, step))
            return next(seen, None)

        return wait_for(look, f"step {step} of epoch {epoch}", within_s, self)

    # --- what it says of itself

    def events(self, kind: type[T]) -> list[T]:
        return [event for event in read_events(self.paths.events) if isinstance(event, kind)]

    def wait_for_event(self, kind: type[T], *, count: int = 1, within_s: float = 90) -> T:
        return wait_for(lambda: next(iter(self.events(kind)[count - 1 :]), None), kind.__name__, within_s, self)

    def status(self) -> dict[str, Any]:
        done = self.cli("status", self.run, "--json")
        assert done.stdout, done.stderr
        body: dict[str, Any] = json.loads(done.stdout)
        return body

    def history(self) -> list[dict[str, Any]]:
        """What decides the answer of every epoch; not how long it took."""
        rows = json.loads(self.cli("metrics", self.run, "--json").stdout)["epochs"]
        varying = ("epoch_s", "rows_per_s", "attempt")
        return [{name: value for name, value in row.items() if name not in varying} for row in rows]

    # --- its processes

    def workers(self) -> list[int]:
        """The pids of the present worker group, by rank."""
        return [place.pid for place in self.events(events.Placed)[-1].ranks]

    def driver(self) -> int:
        return read_leases(self.paths)[-1].pid

    def all_pids(self) -> dict[int, float]:
        """Every process that the run had, and a moment at which it had begun: the machine gives numbers anew."""
        drivers = {event.attempt: event.time for event in self.events(events.Submitted)}
        pids = {lease.pid: drivers.get(lease.attempt, 0.0) for lease in read_leases(self.paths)}
        for placed in self.events(events.Placed):
            pids |= {place.pid: placed.time for place in placed.ranks}
        return pids

    def orphans(self, within_s: float = 15) -> set[int]:
        """Processes of the run that outlive it."""
        deadline = time.monotonic() + within_s
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return alive

    def _alive(self) -> set[int]:
        return {pid for pid, begun_by in self.all_pids().items() if is_alive(pid) and began(pid) <= begun_by}

    def wait_until_over(self) -> int:
        """The exit code of `raytrain wait`."""
        return self.cli("wait", self.run).returncode

    def resume(self) -> None:
        done = self.cli("resume", self.run, "--no-wait")
        assert done.returncode == 0, done.stderr


class Truth:
    """Holds what the status says against what is known to have happened; row 18."""

    def __init__(self) -> None:
        self.compared = 0
        self.wrong: list[str] = []

    def check(self, life: Life, status: RunStatus, reason: str) -> None:
        """`status` and `reason` are what the test has brought about."""
        code = {RunStatus.SUCCEEDED: 0, RunStatus.FAILED: 10, RunStatus.STOPPED: 11}[status]
        waited = life.wait_until_over()
        told = life.status()
        self.compared += 1
        done = {(tick.epoch, tick.step) for tick in life.ticks()}
        steps = {(row["epoch"], step) for row in life.history() for step in range(told["steps_per_epoch"] or 0)}
        checks = {
            f"told {told['status']} {told['reason']}": (told["status"], told["reason"]) == (status, reason),
            f"`wait` returned {waited}": waited == code,
            f"processes {life.orphans()} live": not life.orphans(),
            "no model": status is not RunStatus.SUCCEEDED or life.paths.model.is_file(),
            "epochs are told of that were not trained": steps <= done,
        }
        self.wrong += [
            f"{life.run} is {status} {reason}, {complaint}" for complaint, right in checks.items() if not right
        ]


TRUTH = Truth()


def parse_ticks(text: str) -> list[Tick]:
    found = []
    for line in text.splitlines():
        match line.split():
            case ["tick", moment, pid, epoch, step]:
                found.append(Tick(time=float(moment), pid=int(pid), epoch=int(epoch), step=int(step)))
    return found


def wait_for(look: Callable[[], T | None], what: str, within_s: float, life: Life | None = None) -> T:
    deadline = time.monotonic() + within_s
    while (seen := look()) is None:
        if time.monotonic() > deadline:
            told = "" if life is None else f": {life.cli('logs', life.run).stdout[-3000:]}"
            raise AssertionError(f"no {what} within {within_s:.0f} s{told}")
        time.sleep(0.05)
    return seen


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def began(pid: int) -> float:
    """When a process was started, seconds since the epoch; never for one that is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return math.inf


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def kill_cluster(cli: Cli) -> None:
    """What a power cut does to the local cluster and all that runs on it."""
    record = read_record(cli.environment)
    assert record is not None
    for process in cluster_processes(record.mark, session=record.session):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def what_is_left(cli: Cli) -> dict[str, list[str]]:
    """Actors that live and placement groups that hold anything, as the cluster tells."""
    left = {}
    for kind, over in (("actors", "DEAD"), ("placement_groups", "REMOVED")):
        rows = cli.ask(f"/api/v0/{kind}?limit=10000")["data"]["result"]["result"]
        left[kind] = [str(row.get("class_name") or row.get("name")) for row in rows if row["state"] != over]
    return left
