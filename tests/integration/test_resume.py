"""A run that lost its driver, or was stopped, goes on where it was and ends where the undisturbed one does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from raytrain.cluster.auth import Tokens
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.submission import FINGERPRINT, Submission
from raytrain.run.event_log import read_events
from raytrain.run.events import CheckpointSaved, EpochEnd, Restored
from raytrain.run.lease import read_leases
from raytrain.run.run_paths import RunPaths
from tests.integration.conftest import JOBS, Cli
from tests.integration.test_first_run import wait_for_epochs, worker_pids

EPOCHS = ("--set", "fit.epochs=150")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job in a folder that tests may change."""
    return Path(shutil.copytree(JOBS / "digits", tmp_path_factory.mktemp("jobs") / "digits"))


@pytest.fixture(scope="module")
def undisturbed(cli: Cli, job: Path) -> dict[str, Any]:
    return cli.submit(job, *EPOCHS)


def rows(cli: Cli, run: str) -> list[dict[str, Any]]:
    """Every epoch's metrics, without what a clock has measured."""
    epochs = json.loads(cli("metrics", run, "--json").stdout)["epochs"]
    return [
        {name: value for name, value in row.items() if name not in ("epoch_s", "rows_per_s", "attempt")}
        for row in epochs
    ]


def alive(cli: Cli) -> dict[str, list[str]]:
    """The actors and placement groups that have not ended, but for those that Ray keeps one of a cluster."""
    found = {}
    for kind, gone in (("actors", "DEAD"), ("placement_groups", "REMOVED")):
        listed = cli.ask(f"/api/v0/{kind}?limit=1000&detail=1")["data"]["result"]["result"]
        found[kind] = [str(row) for row in listed if row["state"] != gone and not row.get("is_detached")]
    return found


def wait_for(happened: Callable[[], bool], within_s: float = 120, every_s: float = 0.1) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(every_s)


def last_epoch(paths: RunPaths, kind: type[CheckpointSaved | EpochEnd]) -> int:
    return max(event.epoch for event in read_events(paths.events) if isinstance(event, kind))


def assert_no_orphans(cli: Cli, run: str, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        left = alive(cli)
        if not worker_pids(cli.storage / run) and not any(left.values()):
            return
        time.sleep(0.5)
    raise AssertionError((worker_pids(cli.storage / run), alive(cli)))


def test_a_run_survives_its_driver_and_its_folder(
    cli: Cli, job: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Attempt 1 loses its driver, who waits submits attempt 2, that is killed, and attempt 3 finds its folder gone."""
    moved = Path(shutil.copytree(job, tmp_path / "digits"))
    waiting = cli.start("submit", moved, *EPOCHS, "--set", "restarts.driver=1", "--storage", cli.storage)
    assert waiting.stderr is not None
    run = next(line.split()[1] for line in waiting.stderr if line.startswith("run "))
    paths = RunPaths.of(cli.storage, run)
    wait_for_epochs(paths.root, 5)
    goes_on = cli("resume", run)
    assert (goes_on.returncode, "RUNNING" in goes_on.stderr) == (2, True)

    driver = read_leases(paths)[0].pid
    os.kill(driver, signal.SIGSTOP)  # its workers live on for some epochs that nobody notes
    committed = last_epoch(paths, CheckpointSaved) + 3
    wait_for(lambda: (paths.checkpoints / f"epoch-{committed:06d}").is_dir(), every_s=0.001)
    os.kill(driver, signal.SIGKILL)
    assert last_epoch(paths, EpochEnd) < committed
    wait_for(lambda: any(isinstance(event, Restored) for event in read_events(paths.events)))
    [restored] = [event for event in read_events(paths.events) if isinstance(event, Restored)]
    assert (restored.attempt, restored.epoch >= committed) == (2, True)
    began = time.monotonic()
    assert cli("stop", run, "--now").returncode == 0
    assert time.monotonic() - began < 15
    _, words = waiting.communicate(timeout=60)
    assert waiting.returncode == 11, words
    assert "attempt 1 was lost: submitting attempt 2" in words
    assert_no_orphans(cli, run)

    shutil.rmtree(moved)
    resumed = cli("resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout)
    assert (told["status"], told["attempts"], told["error"]) == ("SUCCEEDED", 3, None)
    assert (told["metrics"], told["test"]) == (undisturbed["metrics"], undisturbed["test"])
    assert rows(cli, run) == rows(cli, undisturbed["run"])
    assert cli("resume", run).returncode == 2
    assert_no_orphans(cli, run)


@pytest.mark.thorough
def test_a_run_stopped_by_ctrl_c_is_resumed_unless_its_job_has_changed(
    cli: Cli, job: Path, undisturbed: dict[str, Any]
) -> None:
    waiting = cli.start("submit", job, *EPOCHS, "--attached", "--storage", cli.storage)
    assert waiting.stderr is not None
    run = next(line.split()[1] for line in waiting.stderr if line.startswith("run "))
    wait_for_epochs(cli.storage / run, 3)
    waiting.send_signal(signal.SIGINT)
    out, words = waiting.communicate(timeout=60)
    assert (waiting.returncode, "STOPPED" in out, f"raytrain resume {run}" in words) == (11, True, True), words
    assert_no_orphans(cli, run)

    model = job / "model.py"
    as_submitted = model.read_text()
    model.write_text(as_submitted + "\n# changed\n")
    for change, named in ((), "model.py"), (("--set", "data.test=0.2"), "data.test"):
        refused = cli("resume", run, *change)
        assert (refused.returncode, named in refused.stderr) == (3, True), refused.stderr

    forced = cli("resume", run, "--force", "--json")
    assert forced.returncode == 0, forced.stderr
    model.write_text(as_submitted)
    told = json.loads(forced.stdout)
    assert (told["status"], told["attempts"]) == ("SUCCEEDED", 2)
    assert (told["metrics"], told["test"]) == (undisturbed["metrics"], undisturbed["test"])


@pytest.mark.thorough
def test_fifty_submissions_of_one_run_are_one_job(cli: Cli) -> None:
    submission = Submission(
        submission_id="fifty-20261120-0715-4f2a",
        entrypoint="sleep 0.5",
        runtime_env={},
        metadata={FINGERPRINT: "the same", "raytrain_run": "fifty-20261120-0715-4f2a"},
    )
    tokens = Tokens(cli.environment)
    with ThreadPoolExecutor(50) as pool:
        for sent in [pool.submit(JobsApi(cli.url, tokens=tokens).submit, submission) for _ in range(50)]:
            sent.result()

    jobs = [job for job in JobsApi(cli.url, tokens=tokens).jobs() if job.submission_id == submission.submission_id]
    assert len(jobs) == 1
