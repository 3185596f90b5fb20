"""A first run as a person has it: what is printed, what is kept, what the dashboard and the metrics endpoint show."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.processes import SHELL, UNNAMED, Seen, observed
from raytrain.run.event_log import read_events
from raytrain.run.events import EpochEnd
from tests.integration.conftest import JOBS, Cli, read_json_lines

# Ray's own, which stay, and what its job supervisor and its start of workers run for a moment.
ONCE_A_CLUSTER = {"TrainStateActor", "_StatsActor", "_AutoscalingCoordinatorActor", "RuntimeEnvAgent", UNNAMED, SHELL}
LONG = ("--set", "fit.epochs=3000")


def wait_for_epochs(directory: Path, count: int, within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        events = read_events(directory / "events.jsonl")
        if sum(isinstance(event, EpochEnd) for event in events) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"no {count} epochs in {directory} within {within_s} s")


@pytest.fixture(scope="module")
def watched(cli: Cli) -> tuple[dict[str, Any], list[Seen]]:
    with observed(cli.environment) as seen:
        done = cli.submit(JOBS / "digits")
    return done, seen


@pytest.fixture(scope="module")
def finished(watched: tuple[dict[str, Any], list[Seen]]) -> dict[str, Any]:
    return watched[0]


@pytest.fixture
def running(cli: Cli) -> Iterator[str]:
    run = cli.submit_detached(JOBS / "digits", *LONG)
    wait_for_epochs(cli.storage / run, 1)
    yield run
    cli("stop", run)


def test_the_object_has_all_that_the_contract_names(finished: dict[str, Any]) -> None:
    assert finished["schema_version"] == 1
    assert re.fullmatch(r"digits-\d{8}-\d{4}-[0-9a-f]{4}", finished["run"])
    expected = {"name": "digits", "status": "SUCCEEDED", "reason": "completed", "attempts": 1, "workers": 2}
    expected |= {"global_batch_size": 32, "steps_per_epoch": 45, "epochs": 10, "parameters": 38410, "error": None}
    assert {name: finished[name] for name in expected} == expected
    assert finished["rows"] == {"train": 1437, "validation": 180, "test": 180}
    assert finished["best"]["monitor"] == "val_loss"
    assert finished["test"]["accuracy"] >= 0.95
    assert Path(finished["model"]).is_file()
    timing = finished["timing"]
    assert 0 < timing["submit_to_first_step_s"] < timing["submit_to_first_epoch_s"] < timing["total_s"]
    assert len(timing["epoch_s"]) == 10


def test_a_run_starts_these_processes_and_no_others(watched: tuple[dict[str, Any], list[Seen]]) -> None:
    """Each costs seconds of a core; the first run on a cluster starts some of Ray's besides."""
    started = Counter(one.name for one in watched[1] if one.is_new and one.name not in ONCE_A_CLUSTER)
    assert started == {"JobSupervisor": 1, "driver": 1, "Mailbox": 1, "RayTrainWorker": 2}


def test_the_saved_model_loads_in_plain_keras(finished: dict[str, Any]) -> None:
    script = "import keras, sys; model = keras.saving.load_model(sys.argv[1]); print(model.count_params())"
    done = subprocess.run(
        [sys.executable, "-c", script, finished["model"]], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "38410", done.stderr


def test_the_run_directory_is_as_documented(finished: dict[str, Any]) -> None:
    directory = Path(finished["storage"])
    for name in ("spec.json", "events.jsonl", "status.json", "metrics.jsonl", "model.keras", "summary.txt"):
        assert (directory / name).is_file(), name
    for log in ("driver.log", "rank-0.log", "rank-1.log"):
        assert (directory / "logs/attempt-1" / log).is_file(), log
    assert "38,410" in (directory / "summary.txt").read_text()
    leftovers = [path.name for path in directory.iterdir() if path.name.startswith(".")]
    assert leftovers == []


def test_curves_are_a_picture_and_metrics_are_lines(finished: dict[str, Any]) -> None:
    directory = Path(finished["storage"])
    width, height = struct.unpack(">II", (directory / "curves.png").read_bytes()[16:24])
    assert width > height > 200
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(finished["epochs"]))
    assert np.isfinite([row["val_loss"] for row in rows]).all()


def test_the_page_of_the_run_was_written_by_its_driver(finished: dict[str, Any], cli: Cli, tmp_path: Path) -> None:
    page = (Path(finished["storage"]) / "report.html").read_text()
    for words in ("Did it learn?", "Yes: loss", "SUCCEEDED: all epochs done", "waiting for rows", "tensorflow 2."):
        assert words in page, words
    assert finished["explanations"] == [], "a run that goes well gives nothing to explain"
    written = cli("report", finished["run"], "--output", tmp_path / "a.html", "--json")
    assert json.loads(written.stdout)["run"] == finished["run"], written.stderr
    assert "Yes: loss" in (tmp_path / "a.html").read_text()


def test_every_question_is_answered_when_the_cluster_is_gone(finished: dict[str, Any], cli: Cli) -> None:
    gone = Cli(environment=cli.environment | {"RAYTRAIN_ADDRESS": "http://127.0.0.1:9"}, storage=cli.storage, url="")
    run = finished["run"]
    status = gone("status", run, "--json")
    assert (status.returncode, json.loads(status.stdout)["test"]) == (0, finished["test"])
    metrics = json.loads(gone("metrics", run, "--json").stdout)
    assert [row["epoch"] for row in metrics["epochs"]] == list(range(10))
    assert "epoch 10/10" in gone("logs", run).stdout
    assert "MultiWorkerMirroredStrategy" in gone("logs", run, "--rank", "1").stdout
    assert run in gone("list").stdout
    assert gone("wait", run).returncode == 0


def test_the_dashboard_knows_the_run(finished: dict[str, Any], cli: Cli) -> None:
    job = cli.ask(f"/api/jobs/{finished['run']}")
    assert job["status"] in ("SUCCEEDED", "RUNNING")
    metadata = job["metadata"]
    assert {"job_name", "workers", "data", "storage", "commit"} <= set(metadata)
    log = cli.ask(f"/api/jobs/{finished['run']}/logs")["logs"]
    _, _, ours = log.partition("Running entrypoint")  # Ray may say before that it sets up the environment
    lines = [line for line in ours.splitlines()[1:] if line.strip()]
    assert [line.split()[1] for line in lines if line.startswith("epoch ")] == [f"{n}/10" for n in range(1, 11)]
    [verdict] = [line for line in lines if not line.startswith("epoch ")]
    best = finished["best"]
    assert re.fullmatch(rf"SUCCEEDED \(completed\): 10 epochs, best val_loss=\S+ in epoch {best['epoch'] + 1}", verdict)
    runs = cli.ask("/api/train/v2/runs/v1")["train_runs"]
    assert finished["run"] in {run["name"] for run in runs}


def test_a_run_that_goes_on_has_a_page_and_a_step(running: str, cli: Cli) -> None:
    page, progress = cli.storage / running / "report.html", cli.storage / running / "progress.json"
    deadline = time.monotonic() + 180
    while not (page.exists() and progress.exists() and "Yes: loss" in page.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "It goes on (RUNNING): training" in page.read_text()
    assert read_json_lines(progress.read_text())[0]["steps"] == 45
    written = page.stat().st_mtime_ns
    wait_for_epochs(cli.storage / running, 200)
    while page.stat().st_mtime_ns == written:
        assert time.monotonic() < deadline + 180
        time.sleep(0.2)


def test_metrics_stand_on_the_prometheus_endpoint_while_it_runs(running: str, cli: Cli) -> None:
    [node] = cli.ask("/nodes?view=summary")["data"]["summary"]
    port = node["raylet"]["metricsExportPort"]
    expected = [("epoch", ""), ("metric", 'metric="val_loss"'), ("best", 'metric="val_loss"'), ("workers", "")]
    expected += [("rows_per_s", 'rank="1"'), ("memory_bytes", 'rank="1"'), ("step_seconds", 'phase="validation"')]
    deadline = time.monotonic() + 60
    missing = expected
    while missing and time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://{node['ip']}:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        ours = [line for line in text.splitlines() if running in line and not line.startswith("#")]
        missing = [
            (name, label)
            for name, label in expected
            if not any(line.startswith(f"ray_raytrain_{name}{{") and label in line for line in ours)
        ]
        time.sleep(1)
    assert missing == []


def test_a_killed_command_leaves_the_run_going_and_watch_picks_it_up(cli: Cli) -> None:
    waiting = cli.start("submit", JOBS / "digits", "--set", "fit.epochs=60", "--storage", cli.storage)
    assert waiting.stderr is not None
    run = next(line.split()[1] for line in waiting.stderr if line.startswith("run "))
    wait_for_epochs(cli.storage / run, 1)
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate()
    watched = cli("watch", run, "--json")
    assert watched.returncode == 0, watched.stderr
    events = read_json_lines(watched.stdout)
    assert [event["epoch"] for event in events if event["type"] == "epoch_end"] == list(range(60))
    [end] = [event for event in events if event["type"] == "run_finished"]
    assert end["status"] == "SUCCEEDED"


def test_ctrl_c_detaches_and_stop_ends_the_run(cli: Cli) -> None:
    waiting = cli.start("submit", JOBS / "digits", *LONG, "--storage", cli.storage)
    assert waiting.stderr is not None
    run = next(line.split()[1] for line in waiting.stderr if line.startswith("run "))
    wait_for_epochs(cli.storage / run, 1)
    waiting.send_signal(signal.SIGINT)
    _, words = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert f"raytrain watch {run}" in words
    assert f"raytrain stop {run}" in words
    assert json.loads(cli("status", run, "--json").stdout)["status"] == "RUNNING"
    timed_out = cli("wait", run, "--timeout", "1")
    assert timed_out.returncode == 124
    stopped = cli("stop", run)
    assert stopped.returncode == 0, stopped.stderr
    status = cli("status", run, "--json")
    obj = json.loads(status.stdout)
    assert (obj["status"], obj["reason"]) == ("STOPPED", "stopped_by_user")
    assert cli("wait", run).returncode == 11


def test_a_new_job_runs_as_it_was_written(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "my_job", cwd=tmp_path).returncode == 0
    result = cli.submit(tmp_path / "my_job", "--set", "fit.epochs=2")
    assert (result["status"], result["name"]) == ("SUCCEEDED", "my_job"), result["error"]


def worker_pids(directory: Path) -> list[int]:
    """Processes that hold this run's rank logs open."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            targets = {str(link.readlink()) for link in (process / "fd").iterdir()}
        except OSError:
            continue
        if any(target.startswith(str(directory / "logs")) and "rank-" in target for target in targets):
            found.append(int(process.name))
    return sorted(found)
