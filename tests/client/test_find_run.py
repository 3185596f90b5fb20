"""Tests of how a run is found by what a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.client.cluster_runs import runs_of_jobs
from raytrain.client.find_run import find_run
from raytrain.client.registry import RunRecord, remember
from raytrain.client.stored_runs import runs_in
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterUnreachable, NotFound, Problem, UsageError
from raytrain.run.run_status import RunStatus

Environ = dict[str, str]


def job(submission_id: str, **metadata: str) -> JobInfo:
    return JobInfo(
        submission_id=submission_id,
        status=RunStatus.RUNNING,
        message="",
        entrypoint="",
        metadata=metadata,
        start_time=7.0,
    )


def run_directory(storage: Path, run: str, submitted_at: float = 5.0) -> Path:
    folder = storage / run
    folder.mkdir(parents=True)
    first = f'{{"type": "submitted", "name": "digits", "submitted_at": {submitted_at}}}\n'
    (folder / "events.jsonl").write_text(first)
    return folder


@pytest.fixture
def three(environ: Environ) -> Environ:
    for run in ("digits-20261120-0715-4f2a", "digits-20261120-0716-aaaa", "wine-20261119-0000-bbbb"):
        remember(RunRecord(run=run, address="http://h:1", storage="/s"), environ)
    return environ


def not_to_be_asked() -> list[RunRecord]:
    raise AssertionError("the cluster was asked, though this machine knows the run")


@pytest.mark.parametrize(
    ("ref", "run"),
    [
        ("digits-20261120-0715-4f2a", "digits-20261120-0715-4f2a"),
        ("digits-20261120-0715", "digits-20261120-0715-4f2a"),
        ("w", "wine-20261119-0000-bbbb"),
        ("digits-20261120-0716-aaaa-a2", "digits-20261120-0716-aaaa"),
        ("@last", "wine-20261119-0000-bbbb"),
    ],
)
def test_by_id_beginning_and_last(three: Environ, ref: str, run: str) -> None:
    assert find_run(ref, environ=three, on_cluster=not_to_be_asked).run == run


def test_an_ambiguous_beginning_lists_the_candidates(three: Environ) -> None:
    with pytest.raises(UsageError, match="2 runs begin: digits-20261120-0716-aaaa, digits-20261120-0715-4f2a"):
        find_run("digits", environ=three)


@pytest.mark.parametrize("ref", ["", "  "])
def test_an_empty_name_is_no_beginning_of_the_only_run(
    environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    remember(RunRecord(run="digits-1"), environ)
    monkeypatch.chdir(run_directory(tmp_path, "old-1"))

    with pytest.raises(UsageError, match="an empty name of a run"):
        find_run(ref, environ=environ)


def test_an_id_that_another_begins_with_is_that_id(environ: Environ) -> None:
    remember(RunRecord(run="digits-1"), environ)
    remember(RunRecord(run="digits-12"), environ)

    assert find_run("digits-1", environ=environ).run == "digits-1"


def test_no_such_run_names_the_nearest(three: Environ) -> None:
    with pytest.raises(NotFound, match="did you mean wine-20261119-0000-bbbb"):
        find_run("wines-20261119-0000-bbbb", environ=three, on_cluster=list)


def test_last_before_the_first(environ: Environ) -> None:
    with pytest.raises(NotFound, match="no run was submitted"):
        find_run("@last", environ=environ)


def test_the_cluster_knows_runs_of_other_machines(three: Environ) -> None:
    jobs = [
        job("raysubmit_1"),
        job("wine-9", raytrain_run="wine-9", job_name="wine", storage="/far"),
        job("wine-9-a2", raytrain_run="wine-9", job_name="wine", storage="/far"),
    ]

    found = find_run("wine-9", environ=three, on_cluster=lambda: runs_of_jobs(jobs, "http://h:1"))

    assert found == RunRecord(
        run="wine-9", name="wine", address="http://h:1", storage="/far", submitted_at=7.0, attempt=2
    )
    assert len(runs_of_jobs(jobs, "")) == 1


def test_a_storage_directory_knows_runs_without_a_cluster(three: Environ, tmp_path: Path) -> None:
    run_directory(tmp_path / "runs", "old-1")
    (tmp_path / "runs/not-a-run").mkdir()

    def silent() -> list[RunRecord]:
        raise ClusterUnreachable(Problem(got="silence", expected="an answer"))

    found = find_run("old", environ=three, on_cluster=silent, storage=str(tmp_path / "runs"))

    assert found == RunRecord(run="old-1", name="digits", storage=str(tmp_path / "runs"), submitted_at=5.0)
    with pytest.raises(NotFound, match="could not be asked: got silence"):
        find_run("nowhere", environ=three, on_cluster=silent)


def test_by_directory(environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_directory(tmp_path, "old-1")
    monkeypatch.chdir(tmp_path)

    for ref in (str(folder), f"{folder}/", "./old-1", "old-1"):
        assert find_run(ref, environ=environ).run == "old-1"
        assert find_run(ref, environ=environ).storage == str(tmp_path)


@pytest.mark.parametrize("ref", ["./nowhere", "/", "."])
def test_a_path_that_is_no_runs_directory(
    environ: Environ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotFound):
        find_run(ref, environ=environ)


@pytest.mark.parametrize(("ref", "storage"), [("~nobody-of-that-name/x", None), ("w", "~nobody-of-that-name/x")])
def test_a_home_that_nobody_has(three: Environ, ref: str, storage: str | None) -> None:
    with pytest.raises(NotFound, match="the home of a user who is not known here"):
        find_run(ref, environ=three, storage=storage)


def test_runs_of_a_storage_come_in_the_order_of_submission(tmp_path: Path) -> None:
    run_directory(tmp_path, "b", 1.0)
    run_directory(tmp_path, "a", 2.0)

    assert [known.run for known in runs_in(str(tmp_path))] == ["b", "a"]


def test_a_storage_that_is_not_there_or_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotFound, match="none: No such file or directory"):
        runs_in(str(tmp_path / "none"))
    with pytest.raises(NotFound, match="file: Not a directory"):
        runs_in(str(tmp_path / "file"))
