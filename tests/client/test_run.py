"""A run as an object: what waiting for it raises, what stops it, and which of many is meant."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raytrain
from raytrain.client.outcome import succeeded
from raytrain.client.registry import RunRecord, remember
from raytrain.errors import ExitCode, Failure
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary, summarize
from tests.cli import lives
from tests.cli.stand_in import Life, stand_in_cluster

ERROR = Failure(kind="NameError", message="name 'hiden' is not defined", file="model.py", line=12, rank=1)
JOB: dict[str, Any] = {
    "name": "tiny",
    "model": {"layers": [{"Input": {"shape": [1]}}, {"Dense": {"units": 1}}]},
    "compile": {"loss": "mse"},
    "data": {"train": {"inline": {"x": [0.0, 1.0, 2.0], "y": [0.0, 2.0, 4.0]}}, "features": "x", "label": "y"},
    "fit": {"epochs": 3, "global_batch_size": 2},
}


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.client.watch.GRACE_S", 0.5)  # a stand-in's log needs no time to come through
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")


def keep(tmp_path: Path, run: str, *ending: Any, name: str = "digits") -> raytrain.Run:
    """A run that has ended, with its directory; its cluster is gone."""
    events = [*lives.beginning(), lives.epoch(0), *lives.ending(*ending)]
    paths = RunPaths.of(tmp_path / "storage", run)
    remember(RunRecord(run=run, name=name, storage=str(tmp_path / "storage"), submitted_at=lives.SUBMITTED_AT))
    lives.write_log(paths.root, events)
    paths.status.write_text(json.dumps(summarize(run, events).to_dict()))
    return raytrain.get(run)


@pytest.fixture
def running() -> Iterator[raytrain.Run]:
    """A run that goes on until it is stopped, of a job said in Python."""
    with stand_in_cluster(Life(events=[*lives.beginning(), lives.epoch(0)], status="RUNNING")) as cluster:
        yield raytrain.submit(**JOB, address=cluster.url, storage="runs", folder=".")


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (RunStatus.FAILED, raytrain.RunFailed, ExitCode.RUN_FAILED),
        (RunStatus.STOPPED, raytrain.RunStopped, ExitCode.RUN_STOPPED),
        (RunStatus.UNKNOWN, raytrain.StateUnknown, ExitCode.STATE_UNKNOWN),
    ],
)
def test_each_end_has_its_error_which_carries_the_summary(
    status: RunStatus, error: type[raytrain.RunError], code: ExitCode
) -> None:
    summary = RunSummary(run="a-1", status=status, error=ERROR if status is RunStatus.FAILED else None)

    with pytest.raises(error) as raised:
        succeeded(summary)

    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.exit_code, again.summary.run, str(again)) == (code, "a-1", str(raised.value))
    assert "a-1" in str(again)


def test_a_failure_names_the_users_line_first() -> None:
    with pytest.raises(raytrain.RunFailed) as failed:
        succeeded(RunSummary(run="a-1", status=RunStatus.FAILED, reason="user_code", error=ERROR))

    first, second, *_ = str(failed.value).splitlines()
    assert first == "model.py:12, on rank 1"
    assert second == "NameError: name 'hiden' is not defined"


def test_a_run_that_ended_is_waited_for_without_its_cluster(tmp_path: Path) -> None:
    good = keep(tmp_path, "digits-good")
    failed = keep(tmp_path, "digits-bad", "FAILED", "diverged")
    stopped = keep(tmp_path, "digits-cut", "STOPPED", "stopped_by_user")

    assert good.wait().status == "SUCCEEDED"
    with pytest.raises(raytrain.RunFailed, match="the loss is no number"):
        failed.wait()
    with pytest.raises(raytrain.RunStopped, match=r"after 1 of 3 epochs.*resume\(\)"):
        stopped.wait()
    assert repr(stopped).startswith("<Run digits-cut STOPPED (stopped by the user), 1 of 3 epochs, loss=0.5000 ")
    assert list(good.metrics()["epoch"]) == [0]
    assert [event.type for event in good.watch()][-2:] == ["run_finished", "status"]


def test_a_run_that_goes_on(running: raytrain.Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(raytrain.WaitTimedOut) as early:
        running.wait(timeout_s=3.0, progress=True)
    assert early.value.summary.status == "RUNNING"
    assert "epoch 1/3" in capsys.readouterr().err

    assert running.stop().status == "STOPPED"
    with pytest.raises(raytrain.RunStopped):
        running.wait()
    assert capsys.readouterr().err == ""
    assert [str(line) for line in running.logs()] == ["a line of the driver's"]


def test_runs_are_chosen_by_name_and_status(tmp_path: Path) -> None:
    for number in range(3):
        keep(tmp_path, f"digits-{number}")
    keep(tmp_path, "other-1", name="other")
    keep(tmp_path, "digits-bad", "FAILED", "diverged")

    assert [run.id for run in raytrain.runs(name="digits", status="SUCCEEDED", limit=2)] == ["digits-2", "digits-1"]
    assert [run.id for run in raytrain.runs(name="other")] == ["other-1"]
    found = raytrain.runs(status="SUCCEEDED")
    assert (len(found), found.total, found[-1].id) == (4, 4, "digits-0")
    assert [run.id for run in found[1:3]] == ["digits-2", "digits-1"]
    with pytest.raises(raytrain.UsageError, match="one of QUEUED"):
        raytrain.runs(status="DONE")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "no job and no fields of one"),
        ({"job": "job", "fit": {"epochs": 1}}, "a job and beside it fit"),
        ({"job": "job", "folder": "."}, "beside the job"),
    ],
)
def test_a_job_is_said_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(raytrain.UsageError, match=words):
        raytrain.validate(**arguments)


def test_a_job_in_python_is_refused_in_the_words_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(raytrain.SpecError, match=r"fit.epoch: got .* did you mean `epochs`"):
        raytrain.JobSpec(**{**JOB, "fit": {"epoch": 3}})
    with pytest.raises(raytrain.SpecError, match=r"fit.epoch: got .* did you mean `epochs`"):
        raytrain.validate(**{**JOB, "fit": {"epoch": 3}})
    with pytest.raises(raytrain.UsageError, match=r"overrides: got fit.epochs: \{1\}, a set"):
        raytrain.validate(**JOB, overrides={"fit.epochs": {1}})
    with pytest.raises(raytrain.NotFound, match="which is no folder"):
        raytrain.validate(**JOB, folder=tmp_path / "none")
