"""Runs on a Ray cluster that fail by themselves, cannot be placed, or diverge: rows 1, 9, 10, 11 and 13."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from raytrain.cluster.connect import connect_to
from raytrain.run import events
from raytrain.run.run_status import RunStatus
from tests.chaos.life import (
    MODEL,
    TRUTH,
    Life,
    beside,
    wait_for,
    write_job,
)
from tests.chaos.table import FULL, found, points
from tests.integration.conftest import Cli

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
    finished = life.events(events.RunFinished)[-1].time
    moments = [float(text) for text in (beside(job, "ticks") / "raised").read_text().split()]
    error = told["error"]
    place = f"{Path(str(error['file'])).name}:{error['line']}"
    groups = len(life.events(events.GroupStarted))
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
    groups = len(life.events(events.GroupStarted))
    kind = life.status()["error"]["kind"]
    assert kind == "WorkerLost", "nothing is known but that it is gone"
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
        assert "scaling." in done.stderr
    found(13, f"refused after {max(taken):.1f} s at most", held=max(taken) <= 5, timed=True)


@pytest.mark.timeout(300)
def test_room_that_does_not_come(cli: Cli, tmp_path: Path) -> None:
    """Somebody else's job has the CPUs: the run waits, says for what, and gives up."""
    other = "somebody-elses"
    cli.ask("/api/jobs/", {"submission_id": other, "entrypoint": "sleep 120", "entrypoint_num_cpus": 2})
    api = connect_to(cli.url, cli.environment)
    wait_for(lambda: api.job(other).status is RunStatus.RUNNING or None, "job of somebody else", 60)
    limit_s = 6.0
    job = write_job(tmp_path / "waiting", scaling={"workers": 3, "queue_timeout": f"{limit_s:.0f}s"})
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_until_over()
    api.stop(other)
    TRUTH.check(life, RunStatus.FAILED, "resources")
    queued = life.events(events.Queued)
    waited = life.events(events.RunFinished)[-1].time - life.events(events.GroupStarted)[0].time
    found(
        13,
        f"no room for {limit_s:.0f} s: ended after {waited:.1f} s, having said it waits for"
        f" {queued[0].needs if queued else 'nothing'}",
        held=bool(queued) and waited <= limit_s + 10,
    )


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


@pytest.mark.timeout(600)
@pytest.mark.skipif(not FULL, reason="its short form runs without Ray, in test_workers.py")
def test_a_kill_between_two_epochs(cli: Cli, tmp_path: Path) -> None:
    """What the dead rank has just said of the epoch may be lost; the epoch is not."""
    fault = {"RAYTRAIN_FAULT": "rank=1,epoch=2,step=0,kind=kill", "RAYTRAIN_ALLOW_FAULTS": "1"}
    job = write_job(tmp_path / "between", env_vars=fault, step_s=0.05)
    life = Life(cli, cli.submit_detached(job), job)
    life.wait_until_over()
    TRUTH.check(life, RunStatus.SUCCEEDED, "completed")
    told = [row["epoch"] for row in life.history()]
    found(1, f"on Ray: killed as an epoch begins: epochs {told} are told of", held=told == [0, 1, 2, 3])
