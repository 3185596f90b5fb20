"""Runs whose directory this user may not enter, read or write: the cluster knows them, and they can be stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.run.run_paths import RunPaths
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster
from tests.permissions import give_up_root


def under_permissions(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command by someone for whom a file's permissions hold: root, who runs the tests as a rule, gives that up."""
    return subprocess.run(
        [sys.executable, "-m", "raytrain", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=give_up_root,
    )


def raytrain(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be entered."""
    folder = tmp_path / "storage"
    folder.mkdir(mode=0)
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def cluster(storage: Path) -> Iterator[StandIn]:
    with stand_in_cluster(Life(in_directory=False)) as cluster:
        yield cluster


def test_a_run_is_submitted_and_followed(cluster: StandIn, job: Path) -> None:
    result = under_permissions("submit", str(job), "--address", cluster.url, "--json")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("verb", ["status", "metrics", "logs", "watch", "wait", "stop"])
def test_every_verb_asks_the_cluster(cluster: StandIn, job: Path, verb: str) -> None:
    run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
    cluster.threads[0].join()

    result = under_permissions(verb, run)

    assert result.returncode == 0, result.stderr
    shown = {"metrics": "0.1667", "logs": "a line of the driver's"}.get(verb, "SUCCEEDED")
    assert shown in result.stdout


def test_its_path_and_its_ranks_logs_are_not_found(cluster: StandIn, job: Path, storage: Path) -> None:
    run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()

    for arguments in (["status", str(storage / run)], ["logs", run, "--rank", "0"]):
        assert under_permissions(*arguments).returncode == 5


def test_a_stopped_run_is_resumed(job: Path, storage: Path) -> None:
    stopped = Life([*lives.beginning(), *lives.ending("STOPPED", "stopped_by_user")], "STOPPED", in_directory=False)
    with stand_in_cluster(stopped) as cluster:
        cluster.later = [Life(in_directory=False)]
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        cluster.threads[0].join()
        result = under_permissions("resume", run)

    assert result.returncode == 0, result.stderr


def test_a_log_that_may_not_be_read_is_read_from_the_mirror(job: Path) -> None:
    with stand_in_cluster() as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        cluster.threads[0].join()
        paths = RunPaths.of(cluster.requests[0].storage, run)
        paths.events.chmod(0)
        result = under_permissions("metrics", run, "--json")

    assert len(json.loads(result.stdout)["epochs"]) == 3


def test_a_run_is_stopped_though_its_directory_cannot_be_written(job: Path) -> None:
    with stand_in_cluster(Life(events=lives.beginning(), status="RUNNING")) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        directory = RunPaths.of(cluster.requests[0].storage, run).root
        assert cluster.jobs[run].told.wait(20)
        directory.chmod(0o555)
        result = under_permissions("stop", run, "--now", "--no-wait")
        directory.chmod(0o755)

    assert result.returncode == 0, result.stderr
    assert "cannot be written (Permission denied), so it is stopped politely" in result.stderr
    assert cluster.jobs[run].stopped.is_set()


def test_a_run_is_stopped_though_its_store_takes_no_sign(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("AccessDenied")

    monkeypatch.setattr("raytrain.client.stop.put", refuse)
    with stand_in_cluster(Life(events=lives.beginning(), status="RUNNING")) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        assert cluster.jobs[run].told.wait(20)
        result = raytrain("stop", run, "--now")

    assert result.exit_code == 0, result.stderr
    assert "cannot be written (AccessDenied), so it is stopped politely" in result.stderr


def test_a_job_and_its_data_in_it(storage: Path, job: Path) -> None:
    """A job that may not be read is refused; data that only the cluster sees is the cluster's to look at."""
    refused = under_permissions("validate", str(storage / "job"))
    data = ["--set", f"data.train={{csv: {storage}/rows.csv}}", "--set", "data.features=[x]"]

    assert (refused.returncode, "Permission denied" in refused.stderr) == (3, True), refused.stderr
    assert under_permissions("validate", str(job), *data).returncode == 0


def test_an_entry_that_may_not_be_entered_hides_no_run(tmp_path: Path, storage: Path) -> None:
    storage.chmod(0o755)
    lives.write_log(storage / lives.RUN, lives.whole_life())
    (storage / "lost+found").mkdir(mode=0)

    listed = under_permissions("list", "--storage", str(storage), "--json")

    assert [row["run"] for row in json.loads(listed.stdout)["runs"]] == [lives.RUN]
    storage.chmod(0)
    assert under_permissions("list", "--storage", str(storage)).returncode == 5
