"""Runs that are taken up again: which are, with which job, under which number, and who follows them."""

from __future__ import annotations

import importlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.client.registry import remembered
from raytrain.client.watch import Gatherer, watch
from raytrain.errors import StateUnknown
from raytrain.run.run_paths import RunPaths
from tests.cli import lives
from tests.cli.stand_in import Job, Life, StandIn, stand_in_cluster
from tests.saved_models import write_saved_model

runner = CliRunner()
STOPPED = Life(
    events=[*lives.beginning(), lives.epoch(0), *lives.ending("STOPPED", "stopped_by_user")], status="STOPPED"
)


def raytrain(*arguments: str) -> Result:
    return runner.invoke(app, list(arguments))


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    """A cluster on which the first job is stopped and every later one succeeds."""
    with stand_in_cluster(STOPPED) as cluster:
        cluster.later = [Life() for _ in range(9)]
        yield cluster


@pytest.fixture
def stopped(cluster: StandIn, job: Path) -> str:
    result = raytrain("submit", str(job), "--address", cluster.url, "--json")
    assert result.exit_code == 11, result.stderr
    return str(json.loads(result.stdout)["run"])


def test_a_stopped_run_goes_on_as_its_second_attempt(cluster: StandIn, stopped: str) -> None:
    result = raytrain("resume", stopped, "--json")

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["run"], told["status"], told["attempts"]) == (stopped, "SUCCEEDED", 2)
    first, second = cluster.requests
    assert list(cluster.jobs) == [stopped, f"{stopped}-a2"]
    assert (second.run, second.attempt, second.storage) == (stopped, 2, first.storage)
    assert (second.spec, second.files) == (first.spec, first.files)


def test_every_verb_knows_the_second_attempt(stopped: str) -> None:
    raytrain("resume", stopped)

    assert json.loads(raytrain("status", stopped, "--json").stdout)["attempts"] == 2
    [row] = json.loads(raytrain("list", "--json").stdout)["runs"]
    assert (row["status"], row["attempts"]) == ("SUCCEEDED", 2)
    assert raytrain("wait", stopped).exit_code == 0
    epochs = json.loads(raytrain("metrics", stopped, "--json").stdout)["epochs"]
    assert [row["attempt"] for row in epochs] == [2, 2, 2]


def test_an_attempt_that_has_not_said_a_word_yet_is_not_the_one_before(cluster: StandIn, stopped: str) -> None:
    cluster.later = [Life(events=[], status="RUNNING")]

    assert raytrain("resume", stopped, "-d").stdout == f"{stopped}\n"

    told = json.loads(raytrain("status", stopped, "--json").stdout)
    assert (told["status"] in ("PENDING", "RUNNING"), told["reason"], told["attempts"]) == (True, None, 2)
    [row] = json.loads(raytrain("list", "--json").stdout)["runs"]
    assert (row["status"] in ("PENDING", "RUNNING"), row["reason"], row["attempts"]) == (True, None, 2)
    again = raytrain("resume", stopped)
    assert (again.exit_code, len(cluster.jobs)) == (2, 2)


def test_a_job_that_ray_has_not_seen_end_yet_is_waited_for(cluster: StandIn, stopped: str) -> None:
    cluster.jobs[stopped].status = "RUNNING"
    threading.Timer(1.0, setattr, (cluster.jobs[stopped], "status", "STOPPED")).start()

    assert raytrain("resume", stopped).exit_code == 0


def test_a_job_that_goes_on_though_its_run_has_ended(
    cluster: StandIn, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytrain.client.attempts._JOB_ENDS_WITHIN_S", 0.1)
    cluster.jobs[stopped].status = "RUNNING"

    result = raytrain("resume", stopped)

    assert (result.exit_code, len(cluster.jobs)) == (2, 1)
    assert f"its job {stopped} is RUNNING" in result.stderr


def test_a_run_that_has_succeeded_or_goes_on_is_left_alone(cluster: StandIn, job: Path, stopped: str) -> None:
    raytrain("resume", stopped)
    succeeded = raytrain("resume", stopped)
    cluster.later = [Life(events=lives.beginning(), status="RUNNING")]
    running = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
    goes_on = raytrain("resume", running)

    assert (succeeded.exit_code, goes_on.exit_code) == (2, 2)
    assert "SUCCEEDED" in succeeded.stderr
    assert f"raytrain stop {running}" in goes_on.stderr
    assert len(cluster.jobs) == 3


def test_a_changed_field_is_refused_unless_it_is_meant(cluster: StandIn, stopped: str) -> None:
    refused = raytrain("resume", stopped, "--set", "compile.optimizer=adam", "--json")

    assert refused.exit_code == 3
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert [problem["field"] for problem in error["problems"]] == ["compile.optimizer"]
    assert '"adam"' in error["problems"][0]["got"]
    assert len(cluster.jobs) == 1
    assert raytrain("resume", stopped, "--set", "compile.optimizer=adam", "--force").exit_code == 0
    assert cluster.requests[-1].spec.compile is not None
    assert cluster.requests[-1].spec.compile.optimizer == "adam"


@pytest.mark.parametrize(
    "field", ["fit.epochs=5", "fit.time_limit=1h", "scaling.workers=1", "restarts.max=9", "checkpoint.every_epochs=2"]
)
def test_what_does_not_change_the_answer_may_change(cluster: StandIn, stopped: str, field: str) -> None:
    assert raytrain("resume", stopped, "--set", field).exit_code == 0


def test_changed_files_are_named(cluster: StandIn, job: Path, stopped: str) -> None:
    (job / "more.py").write_text("x = 1\n")

    refused = raytrain("resume", stopped)

    assert refused.exit_code == 3
    assert "more.py" in refused.stderr
    assert "a new file" in refused.stderr
    assert raytrain("resume", stopped, "--force").exit_code == 0
    assert "more.py" in cluster.requests[-1].files
    (job / "more.py").unlink()
    (job / "job.yaml").write_text((job / "job.yaml").read_text() + "# said otherwise, meant the same\n")


def test_a_spec_that_means_the_same_has_not_changed(job: Path, stopped: str) -> None:
    (job / "job.yaml").write_text((job / "job.yaml").read_text() + "# a comment\n")
    assert raytrain("resume", stopped).exit_code == 0


def test_the_first_commands_overrides_hold_on(cluster: StandIn, job: Path) -> None:
    first = raytrain("submit", str(job), "--address", cluster.url, "--set", "fit.seed=7", "--workers", "1", "--json")
    run = json.loads(first.stdout)["run"]

    assert raytrain("resume", run, "--set", "fit.epochs=4").exit_code == 0
    second = cluster.requests[-1]
    assert (second.spec.fit.seed, second.spec.fit.epochs, second.spec.scaling.workers) == (7, 4, 1)
    assert second.overrides == ["fit.seed=7", "scaling.workers=1", "fit.epochs=4"]


def test_where_the_folder_is_gone_the_runs_own_copy_is_taken(cluster: StandIn, job: Path, stopped: str) -> None:
    paths = RunPaths.of(cluster.requests[0].storage, stopped)
    [package] = [content for content in cluster.packages.values() if b".raytrain/job.json" in content]
    shutil.rmtree(job)
    nowhere = raytrain("resume", stopped)
    paths.package.write_bytes(package)

    found = raytrain("resume", stopped, "--set", "fit.epochs=5")

    assert nowhere.exit_code == 5
    assert "raytrain resume RUN JOB" in nowhere.stderr
    assert found.exit_code == 0, found.stderr
    assert cluster.requests[-1].spec.fit.epochs == 5
    assert cluster.requests[-1].spec.data == cluster.requests[0].spec.data


def test_a_job_that_has_moved_is_named(cluster: StandIn, job: Path, stopped: str, tmp_path: Path) -> None:
    job.rename(tmp_path / "moved")
    assert raytrain("resume", stopped, str(tmp_path / "moved")).exit_code == 0


@pytest.mark.parametrize(("named", "code"), [("./my_jbo", 5), ("-", 5), ("", 2)])
def test_a_job_that_is_named_and_not_there_is_not_the_runs_own_copy(
    cluster: StandIn, stopped: str, named: str, code: int
) -> None:
    [package] = [content for content in cluster.packages.values() if b".raytrain/job.json" in content]
    RunPaths.of(cluster.requests[0].storage, stopped).package.write_bytes(package)

    result = raytrain("resume", stopped, named)

    assert (result.exit_code, len(cluster.jobs)) == (code, 1), result.stderr


def test_a_run_of_another_machine_is_found_on_the_cluster_that_is_named(
    cluster: StandIn, job: Path, stopped: str, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "state")
    RunPaths.of(cluster.requests[0].storage, stopped).request.write_text(cluster.requests[0].model_dump_json())

    result = raytrain("resume", stopped, str(job), "--address", cluster.url, "--json")

    assert result.exit_code == 0, result.stderr
    assert list(cluster.jobs) == [stopped, f"{stopped}-a2"]


def test_a_run_that_goes_on_is_not_resumed_on_another_cluster(
    cluster: StandIn, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--address` says where the run is to go on, not where it was."""
    monkeypatch.setattr("raytrain.client.attempts._JOB_ENDS_WITHIN_S", 0.1)
    cluster.jobs[stopped].status = "RUNNING"
    with stand_in_cluster() as other:
        result = raytrain("resume", stopped, "--address", other.url)

    assert (result.exit_code, other.jobs) == (2, {}), result.stderr


def test_how_a_run_was_submitted_may_be_lost(stopped: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "state" / "requests")
    result = raytrain("resume", stopped)
    assert result.exit_code == 5
    assert "request.json" in result.stderr


@pytest.mark.parametrize(("overrides", "exit_code"), [((), 0), (("--set", "model.file=../other.keras", "--force"), 3)])
def test_a_base_model_outside_of_a_folder_that_is_gone_is_the_one_that_came_with_the_job(
    overrides: tuple[str, ...], exit_code: int, cluster: StandIn, job: Path
) -> None:
    base = job.parent / "base.keras"
    content = write_saved_model(base)
    spec = (job / "job.yaml").read_text()
    layers = "layers: [{Input: {shape: [1]}}, {Dense: {units: 1}}]"
    (job / "job.yaml").write_text(spec.replace(layers, "file: ../base.keras"))
    first = raytrain("submit", str(job), "--address", cluster.url, "--json")
    run = json.loads(first.stdout)["run"]
    [package] = [content for content in cluster.packages.values() if b".raytrain/job.json" in content]
    RunPaths.of(cluster.requests[0].storage, run).package.write_bytes(package)
    shutil.rmtree(job)
    base.unlink()

    result = raytrain("resume", run, *overrides)

    assert result.exit_code == exit_code, result.stderr
    if exit_code:
        assert "../other.keras" in result.stderr
        return
    assert cluster.requests[1].base_model == cluster.requests[0].base_model == ".raytrain/base.keras"
    *_, again = [content for content in cluster.packages.values() if b".raytrain/job.json" in content]
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.read(".raytrain/base.keras") == content


def test_a_lost_driver_is_replaced_while_someone_waits(job: Path) -> None:
    lost = Life(events=[*lives.beginning(), lives.epoch(0)], status="FAILED", message="exit code 137")
    with stand_in_cluster(lost) as cluster:
        cluster.later = [Life()]
        result = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "--json")

    assert result.exit_code == 0, result.stderr
    assert "submitting attempt 2" in result.stderr
    told = json.loads(result.stdout)
    assert (told["status"], told["attempts"]) == ("SUCCEEDED", 2)


def test_a_driver_is_replaced_as_often_as_was_asked_for(job: Path) -> None:
    lost = Life(events=[*lives.beginning(), lives.epoch(0)], status="FAILED", message="exit code 137")
    with stand_in_cluster(lost) as cluster:
        result = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "--json")

    assert (result.exit_code, len(cluster.jobs)) == (10, 2)
    assert json.loads(result.stdout)["reason"] == "driver_lost"


LOST = Life(events=[*lives.beginning(), lives.epoch(0)], status="FAILED", message="exit code 137")


def test_whoever_resumes_a_run_has_its_driver_replaced_as_often_again(job: Path) -> None:
    with stand_in_cluster(LOST) as cluster:
        cluster.later = [LOST, LOST, Life()]
        given_up = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "--json")
        result = raytrain("resume", "@last", "--json")

    assert (given_up.exit_code, result.exit_code) == (10, 0), result.stderr
    assert json.loads(result.stdout)["attempts"] == 4
    assert [request.last_by_user for request in cluster.requests] == [1, 1, 3, 3]


def overtake(moment: str, cluster: StandIn, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command submits the second attempt just before this one calls the function named by `moment`."""
    module, _, name = moment.rpartition(".")
    call = getattr(importlib.import_module(module), name)

    def overtaken(*arguments: Any, **options: Any) -> Any:
        if len(cluster.jobs) == 1:
            [first] = cluster.requests
            theirs = Job(f"{first.run}-a2", {"raytrain_run": first.run, "raytrain_fingerprint": "theirs"})
            cluster.begin(theirs, first.model_copy(update={"attempt": 2}), life)
            cluster.threads[-1].join(0.5)
        return call(*arguments, **options)

    monkeypatch.setattr(moment, overtaken)


@pytest.mark.parametrize(
    ("moment", "life"),
    [
        pytest.param("raytrain.client.takeover.may_resubmit", Life(pause_s=0.1), id="before it looks"),
        pytest.param("raytrain.client.resume.next_attempt", Life(pause_s=0.1), id="before it counts"),
        pytest.param("raytrain.client.resume.next_attempt", Life(), id="before it counts, and is over already"),
        pytest.param("raytrain.client.submit._send", Life(pause_s=0.1), id="before it sends"),
    ],
)
def test_who_is_overtaken_follows_the_attempt_that_another_command_submitted(
    job: Path, moment: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand_in_cluster(LOST) as cluster:
        overtake(moment, cluster, life, monkeypatch)
        result = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "--json")

    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["status"], told["attempts"]) == ("SUCCEEDED", 2)
    assert list(cluster.jobs) == [told["run"], f"{told['run']}-a2"]
    assert "attempt 2 was submitted by another command" in result.stderr


def test_who_watches_in_json_follows_it_too(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in_cluster(LOST) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "-d").stdout.strip()
        overtake("raytrain.client.submit._send", cluster, Life(), monkeypatch)
        result = raytrain("watch", run, "--json")

    assert result.exit_code == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["status"], last["attempt"], len(cluster.jobs)) == ("SUCCEEDED", 2, 2)


@pytest.mark.parametrize(("answers", "exit_code"), [(True, 0), (False, 12)])
def test_who_watches_in_json_submits_to_a_cluster_that_was_started_anew(
    answers: bool, exit_code: int, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgotten(gatherer: Gatherer) -> Iterator[Any]:
        if gatherer.attempt == 1:
            gatherer.answered = answers
            raise StateUnknown(message="the cluster knows no such job")
        yield from watch(gatherer)

    monkeypatch.setattr("raytrain.client.takeover.watch", forgotten)
    with stand_in_cluster(LOST) as cluster:
        cluster.later = [Life()]
        run = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "-d").stdout.strip()
        result = raytrain("watch", run, "--json")

    assert (result.exit_code, len(cluster.jobs)) == (exit_code, 2 if answers else 1), result.stderr


def test_a_lost_driver_is_replaced_with_the_job_as_it_was_submitted(job: Path) -> None:
    lost = Life(events=[*lives.beginning(), lives.epoch(0)], status="FAILED", message="exit code 137")
    with stand_in_cluster(lost) as cluster:
        cluster.later = [Life()]
        run = raytrain("submit", str(job), "--address", cluster.url, "--set", "restarts.driver=1", "-d").stdout.strip()
        for replayed in cluster.threads:
            replayed.join()
        [package] = [content for content in cluster.packages.values() if b".raytrain/job.json" in content]
        RunPaths.of(cluster.requests[0].storage, run).package.write_bytes(package)
        (job / "model.py").write_text("raise ValueError('half a thought')")

        result = raytrain("watch", run)

    assert result.exit_code == 0, result.stderr
    first, second = cluster.requests
    assert (second.attempt, second.files, second.spec) == (2, first.files, first.spec)
    assert remembered()[-1].job == str(job / "job.yaml")


def test_a_machine_that_sees_neither_index_nor_storage_follows_the_last_attempt(job: Path, tmp_path: Path) -> None:
    unseen = Life(events=STOPPED.events, status="STOPPED", in_directory=False)
    with stand_in_cluster(unseen) as cluster:
        cluster.later = [Life(in_directory=False)]
        run = json.loads(raytrain("submit", str(job), "--address", cluster.url, "--json").stdout)["run"]
        assert raytrain("resume", run).exit_code == 0
        shutil.rmtree(tmp_path / "state")
        assert remembered() == []

        told = json.loads(raytrain("status", run, "--address", cluster.url, "--json").stdout)

    assert (told["status"], told["attempts"]) == ("SUCCEEDED", 2)


def test_stop_now_leaves_a_sign_for_the_driver(job: Path) -> None:
    with stand_in_cluster(Life(events=lives.beginning(), status="RUNNING")) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        assert cluster.jobs[run].told.wait(20)
        result = raytrain("stop", run, "--now")

    assert result.exit_code == 0, result.stderr
    assert RunPaths.of(cluster.requests[0].storage, run).stop_now.exists()
