"""A run whose directory is in an object store: a real S3 server, two Ray workers, one of them killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.conftest import JOBS, Cli
from tests.s3 import S3, s3_server

FAULT = {"RAYTRAIN_FAULT": "rank=1,epoch=2,step=3,kind=kill,group=0", "RAYTRAIN_ALLOW_FAULTS": "1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.mark.thorough
def test_a_killed_worker_is_survived_and_the_run_is_read_from_anywhere(cli: Cli, s3: S3, tmp_path: Path) -> None:
    storage = s3.uri("team", "runs")
    sets = [f"environment.env_vars={json.dumps(FAULT)}", "fit.epochs=4"]
    options = [part for value in sets for part in ("--set", value)]
    done = cli("submit", JOBS / "digits", "--json", "--storage", storage, "--workers", "2", *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    run = result["run"]
    assert (result["status"], result["restarts"], result["epochs"]) == ("SUCCEEDED", 1, 4)
    assert result["storage"] == s3.uri("team", "runs", run)
    assert result["model"] == s3.uri("team", "runs", run, "model.keras")

    stranger = replace(
        cli,
        environment=cli.environment
        | {"RAYTRAIN_STATE_DIR": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    metrics = json.loads(stranger("metrics", run, "--json", "--storage", storage).stdout)
    assert [row["epoch"] for row in metrics["epochs"]] == [0, 1, 2, 3]
    log = stranger("logs", run, "--rank", "1", "--storage", storage)
    assert log.returncode == 0, log.stderr
    listed = json.loads(stranger("list", "--json", "--storage", storage).stdout)
    assert [(row["run"], row["status"]) for row in listed["runs"]] == [(run, "SUCCEEDED")]
    events = list((tmp_path / "cache").rglob("events.jsonl"))
    kinds = [json.loads(line)["type"] for line in events[0].read_text().splitlines()]
    assert kinds.index("worker_lost") < kinds.index("restored") < kinds.index("model_saved")

    fetched = stranger("fetch", run, "--storage", storage, "--output", tmp_path / "fetched", "--json")
    assert fetched.returncode == 0, fetched.stderr
    assert Path(json.loads(fetched.stdout)["model"]) == tmp_path / "fetched/model.keras"
    assert json.loads(stranger("status", tmp_path / "fetched", "--json").stdout)["status"] == "SUCCEEDED"
    longer = cli("extend", run, "--set", "fit.epochs=5", "--json")
    assert longer.returncode == 0, longer.stderr
    extended = json.loads(longer.stdout)
    assert (extended["status"], extended["epochs"], extended["extended_from"]) == ("SUCCEEDED", 5, run)
    assert extended["storage"] == s3.uri("team", "runs", extended["run"])


@pytest.mark.thorough
def test_a_run_that_was_stopped_goes_on_from_the_store(cli: Cli, s3: S3) -> None:
    storage = s3.uri("team", "runs")
    options = ["--storage", storage, "--workers", "2", "--set", "fit.epochs=4000"]
    run = cli("submit", JOBS / "digits", "--no-wait", *options).stdout.strip()
    watching = cli.start("watch", run, "--json")
    assert watching.stdout is not None
    for line in watching.stdout:
        if json.loads(line)["type"] == "checkpoint_saved":
            break
    watching.kill()
    watching.communicate()
    assert json.loads(cli("stop", run, "--json").stdout)["status"] == "STOPPED"
    before = json.loads(cli("metrics", run, "--json").stdout)["epochs"][-1]["epoch"]
    resumed = cli("resume", run, "--json", "--set", f"fit.epochs={before + 3}")
    assert resumed.returncode == 0, resumed.stderr
    result = json.loads(resumed.stdout)
    assert (result["status"], result["attempts"], result["epochs"]) == ("SUCCEEDED", 2, before + 3)
