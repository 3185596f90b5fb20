"""`submit`, from the command to the exit code, on a stand-in cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.errors import Failure
from raytrain.run.events import Event
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster

runner = CliRunner()
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def submit(job: Path, cluster: StandIn, *options: str) -> Result:
    return runner.invoke(app, ["submit", str(job), "--address", cluster.url, *options])


def failing(error: Failure) -> list[Event]:
    return [*lives.beginning(), lives.epoch(0), *lives.ending("FAILED", "user_code", error)]


def test_a_run_that_succeeds(job: Path, tmp_path: Path) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster)

    assert result.exit_code == 0, result.output
    [request] = cluster.requests
    assert result.stdout.startswith(f"{request.run}: SUCCEEDED (all epochs done)\n")
    assert str(tmp_path / "storage" / request.run / "model.keras") in result.stdout
    words = result.stderr
    assert f"using {cluster.url} (--address)" in words
    assert f"dashboard: {cluster.url}/#/jobs/{request.run}" in words
    assert re.findall(r"^epoch (\d)/3 loss=\S+ .* \d+ rows/s$", words, re.MULTILINE) == ["1", "2", "3"]
    assert f"raytrain metrics {request.run}" in words
    assert not CONTROL.search(result.output)


def test_json_is_one_object_at_the_end(job: Path, tmp_path: Path) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster, "--json")

    assert result.exit_code == 0
    told = json.loads(result.stdout)
    [request] = cluster.requests
    assert told["run"] == request.run
    assert (told["name"], told["status"], told["reason"], told["attempts"]) == ("tiny", "SUCCEEDED", "completed", 1)
    assert (told["workers"], told["global_batch_size"], told["steps_per_epoch"]) == (2, 4, 45)
    assert told["rows"] == {"train": 1437, "validation": 180, "test": 0}
    assert told["epochs"] == 3
    assert told["test"] == {"loss": 0.21, "accuracy": 0.955}
    assert told["best"] == {"epoch": 2, "monitor": "val_loss", "value": pytest.approx(0.2667, abs=1e-4)}
    assert told["storage"] == str(tmp_path / "storage" / request.run)
    assert told["timing"]["submit_to_first_step_s"] == 8.0
    assert len(told["timing"]["epoch_s"]) == 3
    assert "epoch 3/3" in result.stderr


def test_what_cannot_be_seen_on_this_disk_is_read_through_the_cluster(job: Path) -> None:
    with stand_in_cluster(Life(in_directory=False)) as cluster:
        result = submit(job, cluster, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["epochs"] == 3


def test_detached_prints_the_id_alone(job: Path) -> None:
    with stand_in_cluster() as cluster:
        for option in ("--no-wait", "-d", "--detach"):
            result = submit(job, cluster, option)
            assert result.exit_code == 0
            assert result.stdout == f"{cluster.requests[-1].run}\n"
            assert f"raytrain watch {cluster.requests[-1].run}" in result.stderr


def test_detached_json_is_the_object_of_a_pending_run(job: Path, tmp_path: Path) -> None:
    with stand_in_cluster() as cluster:
        told = json.loads(submit(job, cluster, "--no-wait", "--json").stdout)

    run = cluster.requests[0].run
    assert (told["run"], told["status"], told["workers"]) == (run, "PENDING", 2)
    assert told["dashboard_url"] == f"{cluster.url}/#/jobs/{run}"
    assert told["storage"] == str(tmp_path / "storage" / run)


def test_a_run_that_cannot_be_remembered_is_told_all_the_same(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "file" / "state"))
    with stand_in_cluster() as cluster:
        detached, waited = submit(job, cluster, "-d", "-q"), submit(job, cluster, "--json")

    first, second = cluster.requests
    assert (detached.exit_code, detached.stdout) == (0, f"{first.run}\n")
    [warning] = detached.stderr.splitlines()
    assert warning.startswith(f"warning: {first.run} was submitted, but cannot be remembered on this machine")
    assert f"--address {cluster.url} --storage {tmp_path / 'storage'}" in warning
    assert (waited.exit_code, json.loads(waited.stdout)["run"]) == (0, second.run)
    assert f"warning: {second.run} was submitted" in waited.stderr


def test_a_damaged_registry_is_told_once_and_begun_anew(job: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "runs.sqlite3").write_bytes(b"some other program's" * 200)
    with stand_in_cluster() as cluster:
        first, second = submit(job, cluster, "-d", "-q"), submit(job, cluster, "-d", "-q")

    assert (first.exit_code, second.exit_code, second.stderr) == (0, 0, "")
    [warning] = first.stderr.splitlines()
    assert warning.startswith(f"warning: {tmp_path / 'state' / 'runs.sqlite3'} was damaged")


def test_a_failed_run_names_the_users_line(job: Path) -> None:
    life = Life(
        events=failing(Failure(kind="", message="no such layer", file="model.py", line=7, rank=1)), status="FAILED"
    )
    with stand_in_cluster(life) as cluster:
        plain, told = submit(job, cluster), submit(job, cluster, "-o", "json")

    assert (plain.exit_code, told.exit_code) == (10, 10)
    assert "model.py:7: no such layer" in plain.stdout
    panel = plain.stderr[plain.stderr.index("error: ") :].splitlines()
    assert panel[0].endswith("FAILED: the job's own code or data failed")
    assert panel[1:3] == ["  model.py:7, on rank 1", "  no such layer"]
    on_stderr = json.loads(told.stderr.splitlines()[-1])["error"]
    assert (on_stderr["file"], on_stderr["line"], on_stderr["exit_code"]) == ("model.py", 7, 10)
    error = json.loads(told.stdout)["error"]
    assert (error["message"], error["file"], error["line"], error["rank"]) == ("no such layer", "model.py", 7, 1)


def test_a_driver_that_never_came_up(job: Path) -> None:
    life = Life(
        events=[],
        status="FAILED",
        error_type="RUNTIME_ENV_SETUP_FAILURE",
        message="runtime_env setup failed: pip \x1b[31mno",
    )
    with stand_in_cluster(life) as cluster:
        result = submit(job, cluster, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 10
    assert (told["status"], told["reason"]) == ("FAILED", "environment")
    assert "pip" in told["error"]["message"]


def test_a_timeout_leaves_the_run_alone(job: Path) -> None:
    with stand_in_cluster(Life(events=lives.beginning(), status="RUNNING")) as cluster:
        result = submit(job, cluster, "--timeout", "1", "--json")
        assert result.exit_code == 124
        assert json.loads(result.stdout)["status"] == "RUNNING"
        error = json.loads(result.stderr.splitlines()[-1])["error"]
        assert error["exit_code"] == 124
        assert [job.status for job in cluster.jobs.values()] == ["RUNNING"]


def test_a_refused_job_reaches_no_cluster(job: Path) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster, "--set", "fit.epohcs=3", "--json")

    assert (result.exit_code, result.stdout) == (3, "")
    [problem] = json.loads(result.stderr)["error"]["problems"]
    assert "epohcs" in problem["got"] + problem["field"]
    assert not cluster.jobs


def test_more_than_the_cluster_can_ever_give(job: Path) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster, "--set", "scaling.cpus_per_worker=64")

    assert (result.exit_code, result.stdout) == (3, "")
    assert not cluster.jobs


def test_no_cluster_there(job: Path) -> None:
    result = runner.invoke(app, ["submit", str(job), "--address", "http://127.0.0.1:9"])

    assert (result.exit_code, result.stdout) == (4, "")
    assert "The cluster cannot be reached" in result.stderr


def test_another_ray_version(job: Path) -> None:
    with stand_in_cluster() as cluster:
        cluster.ray_version = "2.40.0"
        result = submit(job, cluster)

    assert result.exit_code == 4
    assert "Ray 2.40.0" in result.stderr


def test_verbose_shows_the_drivers_log(job: Path) -> None:
    with stand_in_cluster(Life(pause_s=0.1, job_log="hostile \x1b[2J line\n")) as cluster:
        result = submit(job, cluster, "--verbose")

    assert "hostile  line" in result.stderr


def test_quiet_leaves_the_verdict(job: Path) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster, "--quiet")

    assert result.stderr == ""
    assert "SUCCEEDED" in result.stdout


def test_short_options_stand_for_fields(job: Path, tmp_path: Path) -> None:
    with stand_in_cluster() as cluster:
        storage = str(tmp_path / "elsewhere")
        submit(job, cluster, "--name", "other", "--workers", "1", "--storage", storage, "--set", "fit.epochs=7", "-d")

    [request] = cluster.requests
    assert request.run.startswith("other-")
    assert (request.spec.scaling.workers, request.spec.fit.epochs, request.storage) == (1, 7, storage)


@pytest.mark.parametrize("option", ["--dry-run", "--dryrun"])
def test_a_dry_run_is_the_plan(job: Path, option: str) -> None:
    with stand_in_cluster() as cluster:
        result = submit(job, cluster, option)

    assert result.exit_code == 0
    assert "7 train" in result.stdout
    assert not cluster.jobs and not cluster.packages
