"""The verbs that ask about a run: from its directory when the cluster is gone, from the cluster while it goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from raytrain.client.registry import RunRecord, remember
from raytrain.errors import ClusterUnreachable, Failure, Problem
from raytrain.run.events import Event
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import summarize
from tests.cli import lives
from tests.cli.stand_in import Life, StandIn, stand_in_cluster

runner = CliRunner()
GONE = "http://127.0.0.1:9"


def raytrain(*arguments: str) -> Result:
    return runner.invoke(app, list(arguments))


def keep(tmp_path: Path, events: list[Event], *, address: str = GONE, run: str = lives.RUN) -> RunPaths:
    """A run that was submitted from this machine to a cluster that is gone, with its directory."""
    storage = tmp_path / "storage"
    paths = RunPaths.of(storage, run)
    remember(RunRecord(run=run, name="digits", address=address, storage=str(storage), submitted_at=lives.SUBMITTED_AT))
    if events:
        lives.write_log(paths.root, events)
        paths.status.write_text(json.dumps(summarize(run, events).to_dict()))
    return paths


@contextmanager
def another_server(answer: Any) -> Iterator[str]:
    """The address of a server that gives one answer to whatever it is asked."""
    with stand_in_cluster() as cluster:
        cluster.always = answer
        yield cluster.url


@pytest.fixture
def running(job: Path) -> Iterator[tuple[StandIn, str]]:
    """A run that goes on until it is stopped, and its id."""
    with stand_in_cluster(Life(events=[*lives.beginning(), lives.epoch(0)], status="RUNNING")) as cluster:
        run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
        until(lambda: len(cluster.jobs[run].mirror) == 10)
        yield cluster, run


def until(happened: Any, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("verb", ["watch", "status", "logs", "metrics", "wait", "stop", "resume"])
def test_a_variable_that_is_not_set_names_no_run(running: tuple[StandIn, str], verb: str) -> None:
    cluster, run = running

    result = raytrain(verb, "")

    assert result.exit_code == 2
    assert "an empty name of a run" in result.stderr
    assert (list(cluster.jobs), cluster.jobs[run].status) == ([run], "RUNNING")


@pytest.fixture(params=["unreadable", "in the clear"])
def no_token(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that is not to be had, or not to be sent; the address of the cluster that wants it."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    if request.param == "unreadable":
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
        return GONE
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    return "http://head.example:8265"


class TestWithoutToken:
    @pytest.mark.parametrize("verb", ["status", "metrics", "logs", "watch", "wait", "stop"])
    def test_a_finished_run_is_told_from_its_directory(self, tmp_path: Path, no_token: str, verb: str) -> None:
        paths = keep(tmp_path, lives.whole_life(), address=no_token)
        paths.attempt_logs(1).mkdir(parents=True)
        paths.driver_log(1).write_text("one\n")

        result = raytrain(verb, lives.RUN)

        assert result.exit_code == 0, result.stderr
        assert result.stdout

    def test_a_run_that_may_go_on_is_unknown_and_says_why(self, tmp_path: Path, no_token: str) -> None:
        keep(tmp_path, lives.beginning(), address=no_token)

        result = raytrain("status", lives.RUN)

        assert result.exit_code == 12
        assert "token" in result.stdout

    def test_a_run_of_which_only_the_cluster_can_tell(self, tmp_path: Path, no_token: str) -> None:
        keep(tmp_path, [], address=no_token)

        result = raytrain("watch", lives.RUN)

        assert result.exit_code == 4
        assert "token" in result.stderr


class TestStatus:
    def test_of_a_finished_run_without_its_cluster(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        result = raytrain("status", lives.RUN)

        assert result.exit_code == 0
        assert result.stdout.startswith(f"{lives.RUN}: SUCCEEDED (all epochs done)")

    @pytest.mark.parametrize("ref", ["@last", "digits-2026", lives.RUN])
    def test_of_a_run_named_otherwise(self, tmp_path: Path, ref: str) -> None:
        keep(tmp_path, lives.whole_life())

        assert json.loads(raytrain("status", ref, "--json").stdout)["run"] == lives.RUN

    def test_of_a_directory_alone(self, tmp_path: Path) -> None:
        lives.write_log(tmp_path / lives.RUN, lives.whole_life())

        assert json.loads(raytrain("status", str(tmp_path / lives.RUN), "--json").stdout)["status"] == "SUCCEEDED"

    def test_exit_codes_tell_the_outcome(self, tmp_path: Path) -> None:
        for number, (status, reason, code) in enumerate(
            [("FAILED", "diverged", 10), ("STOPPED", "stopped_by_user", 11), ("SUCCEEDED", "early_stopped", 0)]
        ):
            run = f"{lives.RUN}{number}"
            keep(tmp_path, [*lives.beginning(), *lives.ending(status, reason)], run=run)
            result = raytrain("status", run, "--json")
            assert (result.exit_code, json.loads(result.stdout)["reason"]) == (code, reason)

    def test_of_a_run_cut_off_is_unknown(self, tmp_path: Path) -> None:
        keep(tmp_path, [*lives.beginning(), lives.epoch(0)])

        text, told = raytrain("status", lives.RUN), raytrain("status", lives.RUN, "--json")

        assert (text.exit_code, told.exit_code) == (12, 12)
        assert f"{lives.RUN}: UNKNOWN" in text.stdout
        assert json.loads(told.stdout)["epochs"] == 1

    def test_of_a_run_that_goes_on(self, running: tuple[StandIn, str]) -> None:
        _, run = running

        result = raytrain("status", run, "--json")

        assert (result.exit_code, json.loads(result.stdout)["status"]) == (0, "RUNNING")

    def test_of_a_run_whose_driver_died(self, job: Path) -> None:
        life = Life(events=lives.beginning(), status="FAILED", message="exit code 137")
        with stand_in_cluster(life) as cluster:
            run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
            until(lambda: cluster.jobs[run].status == "FAILED")
            result = raytrain("status", run, "--json")

        told = json.loads(result.stdout)
        assert (result.exit_code, told["status"], told["reason"]) == (10, "FAILED", "driver_lost")
        assert "exit code 137" in told["error"]["message"]

    def test_of_a_run_of_another_machine_is_asked_of_the_cluster(
        self, running: tuple[StandIn, str], tmp_path: Path
    ) -> None:
        cluster, run = running
        shutil.rmtree(tmp_path / "state")

        result = raytrain("status", run, "--address", cluster.url, "--json")

        assert json.loads(result.stdout)["status"] == "RUNNING"

    def test_of_a_run_in_a_storage_where_no_cluster_can_be_asked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none_runs_here(*_: object) -> None:
            raise ClusterUnreachable(Problem(got="auto, and no Ray cluster runs", expected="a running cluster"))

        monkeypatch.setattr("raytrain.client.cluster_runs.locate", none_runs_here)
        lives.write_log(tmp_path / lives.RUN, lives.whole_life())

        found = raytrain("status", lives.RUN, "--storage", str(tmp_path))
        nowhere = raytrain("status", "digits-20261120-0715-4f2b")

        assert (found.exit_code, nowhere.exit_code) == (0, 5), found.stderr
        assert "could not be asked: got auto" in nowhere.stderr

    @pytest.mark.parametrize("answer", [{"error": "login"}, []])
    def test_where_something_else_than_its_cluster_answers_by_now(self, tmp_path: Path, answer: Any) -> None:
        with another_server(answer) as address:
            keep(tmp_path, [*lives.beginning(), lives.epoch(0)], address=address)

            told = raytrain("status", lives.RUN, "--json")

        assert told.exit_code == 12, told.stderr
        assert (json.loads(told.stdout)["status"], json.loads(told.stdout)["epochs"]) == ("UNKNOWN", 1)

    @pytest.mark.parametrize(
        "odd",
        [{"attempts": "x"}, {"attempts": [1]}, {"metrics": "x"}, {"metrics": {"a": "x"}}, {"status": 3}],
    )
    def test_a_list_takes_a_status_of_another_form_from_the_events(self, odd: dict[str, Any], tmp_path: Path) -> None:
        paths = keep(tmp_path, lives.whole_life())
        paths.status.write_text(json.dumps(json.loads(paths.status.read_text()) | odd))

        listed = raytrain("list")

        assert listed.exit_code == 0, listed.stderr
        assert listed.stdout.splitlines()[1].split()[:3] == [lives.RUN, "SUCCEEDED", "completed"]

    def test_of_a_run_that_a_later_version_ended(self, tmp_path: Path) -> None:
        paths = keep(tmp_path, [*lives.beginning(), lives.epoch(0), *lives.ending("PARKED", "of_tomorrow")])
        paths.status.unlink()

        listed, watched = raytrain("list"), raytrain("watch", lives.RUN)
        status = raytrain("status", lives.RUN, "--json")

        assert (status.exit_code, watched.exit_code) == (12, 12)
        told = json.loads(status.stdout)
        assert (told["status"], told["reason"], told["epochs"]) == ("UNKNOWN", "of_tomorrow", 1)
        assert "PARKED" in told["warnings"][0]
        assert "PARKED" in watched.stdout
        assert listed.stdout.splitlines()[1].split()[:2] == [lives.RUN, "UNKNOWN"]

    def test_of_no_run_at_all(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        result = raytrain("status", "digits-20261120-0715-4f2b", "--address", GONE)

        assert (result.exit_code, result.stdout) == (5, "")
        assert lives.RUN in result.stderr


class TestMetrics:
    def test_is_a_table(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        lines = raytrain("metrics", lives.RUN).stdout.splitlines()

        assert lines[0].split() == [
            *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "time", "rows/s", "attempt"),
        ]
        assert lines[3].split() == ["3*", "0.1667", "0.9000", "0.2667", "0.8800", "0.41s", "3500", "1"]

    def test_in_json_counts_epochs_from_0(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        told = json.loads(raytrain("metrics", lives.RUN, "--json").stdout)

        assert (told["schema_version"], told["run"]) == (1, lives.RUN)
        assert [row["epoch"] for row in told["epochs"]] == [0, 1, 2]
        assert told["epochs"][0].keys() >= {"loss", "val_loss", "epoch_s", "rows_per_s", "attempt"}

    def test_of_a_metric_that_became_no_number(self, tmp_path: Path) -> None:
        keep(tmp_path, [*lives.beginning(), lives.epoch(0, loss=float("nan"))])

        assert "nan" in raytrain("metrics", lives.RUN).stdout
        assert json.loads(raytrain("metrics", lives.RUN, "--json").stdout)["epochs"][0]["loss"] is None

    def test_before_the_first_epoch(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.beginning())

        result = raytrain("metrics", lives.RUN)

        assert (result.exit_code, result.stdout) == (0, "")
        assert "no epochs yet" in result.stderr


class TestLogs:
    def write(self, paths: RunPaths) -> None:
        paths.attempt_logs(1).mkdir(parents=True)
        paths.driver_log(1).write_text("one\ntwo \x1b[31mred\x1b[0m\nthree")
        paths.rank_log(1, 0).write_text("of rank 0\n")

    def test_of_the_driver_and_of_a_rank(self, tmp_path: Path) -> None:
        self.write(keep(tmp_path, lives.whole_life()))

        assert raytrain("logs", lives.RUN).stdout == "one\ntwo red\nthree\n"
        assert raytrain("logs", lives.RUN, "--tail", "1").stdout == "three\n"
        assert raytrain("logs", lives.RUN, "--tail", "0").stdout == ""
        assert raytrain("logs", lives.RUN, "--rank", "0").stdout == "of rank 0\n"
        assert raytrain("logs", lives.RUN, "-f").stdout == "one\ntwo red\nthree\n"

    def test_in_json_is_one_object_a_line(self, tmp_path: Path) -> None:
        self.write(keep(tmp_path, lives.whole_life()))

        rows = [json.loads(line) for line in raytrain("logs", lives.RUN, "--json").stdout.splitlines()]

        assert rows[1] == {"run": lives.RUN, "attempt": 1, "rank": None, "line": "two red"}

    def test_of_a_rank_that_there_is_not(self, tmp_path: Path) -> None:
        self.write(keep(tmp_path, lives.whole_life()))

        result = raytrain("logs", lives.RUN, "--rank", "7")

        assert result.exit_code == 5
        assert "rank-0" in result.stderr

    def test_of_a_driver_that_only_the_cluster_knows(self, running: tuple[StandIn, str]) -> None:
        _, run = running

        assert raytrain("logs", run).stdout == "a line of the driver's\n"

    def test_that_only_a_cluster_had_which_is_gone(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        assert raytrain("logs", lives.RUN).exit_code == 4


class TestList:
    def test_the_newest_first_and_no_more_than_asked_for(self, tmp_path: Path) -> None:
        for number in range(5):
            keep(tmp_path, lives.whole_life(), run=f"digits-{number}")

        told = json.loads(raytrain("list", "--json", "--limit", "3").stdout)

        assert told["schema_version"] == 1
        assert [row["run"] for row in told["runs"]] == ["digits-4", "digits-3", "digits-2"]
        assert told["runs"][0]["status"] == "SUCCEEDED"
        assert told["runs"][0]["metrics"]["loss"] == pytest.approx(0.1667, abs=1e-4)
        assert len(json.loads(raytrain("list", "--json", "--limit", "0").stdout)["runs"]) == 5

    def test_is_a_table(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())
        keep(tmp_path, [], run="digits-lost")

        lines = raytrain("list").stdout.splitlines()

        assert lines[0].split()[:3] == ["run", "status", "reason"]
        assert lines[1].split()[:3] == ["digits-lost", "UNKNOWN", "-"]
        assert lines[2].split()[:4] == [lives.RUN, "SUCCEEDED", "completed", "3/3"]

    def test_asks_the_cluster_of_open_runs(self, running: tuple[StandIn, str]) -> None:
        cluster, run = running
        (row,) = json.loads(raytrain("list", "--json").stdout)["runs"]
        assert (row["run"], row["status"], row["address"]) == (run, "RUNNING", cluster.url)

    @pytest.mark.parametrize("answer", [{"error": "login"}, [], [{"type": "SUBMISSION"}]])
    def test_one_address_where_something_else_answers_hides_no_other_run(self, tmp_path: Path, answer: Any) -> None:
        keep(tmp_path, lives.whole_life())
        with another_server(answer) as address:
            keep(tmp_path, lives.beginning(), run="digits-open", address=address)
            keep(tmp_path, lives.beginning(), run="digits-nowhere", address="http://head..example:8265")

            result = raytrain("list")

        assert result.exit_code == 0, result.stderr
        assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [
            ["digits-nowhere", "UNKNOWN"],
            ["digits-open", "UNKNOWN"],
            [lives.RUN, "SUCCEEDED"],
        ]

    def test_reads_the_events_where_the_status_file_is_missing(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life()).status.unlink()

        assert raytrain("list").stdout.splitlines()[1].split()[1:3] == ["SUCCEEDED", "completed"]

    def test_of_nothing(self) -> None:
        result = raytrain("list")

        assert (result.exit_code, result.stdout) == (0, "")
        assert json.loads(raytrain("list", "--json").stdout) == {"schema_version": 1, "runs": []}

    def test_of_a_storage_directory(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())
        shutil.rmtree(tmp_path / "state")

        told = json.loads(raytrain("list", "--storage", str(tmp_path / "storage"), "--json").stdout)

        assert [row["run"] for row in told["runs"]] == [lives.RUN]

    def test_of_a_storage_knows_the_clusters_of_its_runs(self, running: tuple[StandIn, str], tmp_path: Path) -> None:
        cluster, run = running
        (row,) = json.loads(raytrain("list", "--storage", str(tmp_path / "storage"), "--json").stdout)["runs"]
        assert (row["run"], row["status"], row["address"]) == (run, "RUNNING", cluster.url)

    def test_of_a_storage_that_is_not_there(self, tmp_path: Path) -> None:
        result = raytrain("list", "--storage", str(tmp_path / "none"))

        assert (result.exit_code, result.stdout) == (5, "")
        assert "No such file or directory" in result.stderr

    @pytest.mark.parametrize("width", ["50", "80", "100", "120"])
    def test_fits_the_terminal_and_cuts_no_id(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", width)
        many = {f"metric_{number:02d}": 0.5 for number in range(20)}
        keep(tmp_path, [*lives.beginning(), lives.epoch(0, **many), *lives.ending()])

        result = raytrain("list")

        assert max(map(len, result.stdout.splitlines())) <= int(width)
        assert result.stdout.splitlines()[1].startswith(f"{lives.RUN}  SUCCEEDED")
        assert "--wide" in result.stderr

    @pytest.mark.parametrize("option", ["--wide", "-w"])
    def test_wide_and_json_have_every_metric(self, tmp_path: Path, option: str) -> None:
        many = {f"metric_{number:02d}": 0.5 for number in range(20)}
        keep(tmp_path, [*lives.beginning(), lives.epoch(0, **many), *lives.ending()])

        wide, told = raytrain("list", option), json.loads(raytrain("list", "--json").stdout)

        assert "metric_19=0.5000" in wide.stdout
        assert "--wide" not in wide.stderr
        assert told["runs"][0]["metrics"]["metric_19"] == 0.5

    def test_is_quick_with_ten_thousand_runs(self, tmp_path: Path) -> None:
        storage = str(tmp_path / "storage")
        earlier = [json.dumps({"run": f"digits-{number:05d}", "storage": storage}) for number in range(10_000)]
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "runs.jsonl").write_text("\n".join(earlier) + "\n")
        keep(tmp_path, lives.whole_life())

        began = time.monotonic()
        result = raytrain("list")

        assert len(result.stdout.splitlines()) == 21
        assert time.monotonic() - began < 2.0


class TestWatch:
    def test_of_a_finished_run_ends_at_once(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        result = raytrain("watch", lives.RUN)

        assert result.exit_code == 0
        assert result.stdout.splitlines()[0].startswith("epoch 1/3 loss=0.5000")
        assert f"{lives.RUN}: SUCCEEDED" in result.stdout

    def test_in_json_is_one_event_a_line(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        rows = [json.loads(line) for line in raytrain("watch", lives.RUN, "--json").stdout.splitlines()]

        assert [row["type"] for row in rows] == [*(event.type for event in lives.whole_life()), "status"]
        assert (rows[-1]["status"], rows[-1]["final"]) == ("SUCCEEDED", True)
        assert all(row["schema_version"] == 1 and row["run"] == lives.RUN for row in rows)

    def test_a_run_to_its_end(self, job: Path) -> None:
        with stand_in_cluster(Life(pause_s=0.05)) as cluster:
            run = raytrain("submit", str(job), "--address", cluster.url, "-d").stdout.strip()
            result = raytrain("watch", run)

        assert result.exit_code == 0
        assert "epoch 3/3" in result.stdout

    def test_with_a_timeout(self, running: tuple[StandIn, str]) -> None:
        assert raytrain("watch", running[1], "--timeout", "0.5", "--json").exit_code == 124


class TestWait:
    @pytest.mark.parametrize(
        ("ending", "code"),
        [
            (lives.ending(), 0),
            (lives.ending("FAILED", "user_code", Failure(kind="", message="no")), 10),
            (lives.ending("STOPPED", "stopped_by_user"), 11),
        ],
    )
    def test_any_end_ends_it(self, tmp_path: Path, ending: list[Event], code: int) -> None:
        keep(tmp_path, [*lives.beginning(), *ending])

        assert raytrain("wait", lives.RUN, "--timeout", "5").exit_code == code

    def test_with_a_timeout(self, running: tuple[StandIn, str]) -> None:
        result = raytrain("wait", running[1], "--timeout", "0.5")

        assert result.exit_code == 124
        assert f"raytrain watch {running[1]}" in result.stderr


class TestStop:
    def test_waits_until_the_run_has_stopped(self, running: tuple[StandIn, str]) -> None:
        result = raytrain("stop", running[1], "--json")

        assert result.exit_code == 0
        told = json.loads(result.stdout)
        assert (told["status"], told["reason"]) == ("STOPPED", "stopped_by_user")

    def test_need_not_wait(self, running: tuple[StandIn, str]) -> None:
        cluster, run = running
        assert raytrain("stop", run, "--no-wait").exit_code == 0
        until(lambda: cluster.jobs[run].status == "STOPPED")

    def test_of_a_finished_run_is_no_error(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.whole_life())

        result = raytrain("stop", lives.RUN)

        assert result.exit_code == 0
        assert "had ended before: SUCCEEDED" in result.stderr

    def test_on_a_cluster_that_is_gone(self, tmp_path: Path) -> None:
        keep(tmp_path, lives.beginning())

        assert raytrain("stop", lives.RUN).exit_code == 4
