"""The entrypoint's own steps that need no cluster."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from raytrain.driver import __main__ as entrypoint
from raytrain.driver.__main__ import keep_job, open_directory
from raytrain.run.lease import Lease, claim
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.request import REQUEST_FILE, JobRequest
from tests.permissions import give_up_root
from tests.s3 import s3_server


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    found = RunPaths(tmp_path / "runs/digits-1")
    found.root.mkdir(parents=True)
    return found


def test_the_job_is_kept_as_it_came(paths: RunPaths, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    for name, text in {
        REQUEST_FILE: '{"run": 1}',
        "model.py": "x = 1",
        "a/b.csv": "1",
        "__pycache__/m.pyc": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    for _ in range(2):  # a later attempt keeps its own
        keep_job(paths, folder)

    assert paths.request.read_text() == '{"run": 1}'
    with zipfile.ZipFile(paths.package) as archive:
        assert sorted(archive.namelist()) == [REQUEST_FILE, "a/b.csv", "model.py"]
        assert archive.read("model.py") == b"x = 1"
    assert sorted(path.name for path in paths.root.iterdir()) == ["job.zip", "request.json"]


def test_a_directory_that_can_be_written_is_left_with_no_probe_in_it(paths: RunPaths) -> None:
    paths.events.write_text("an earlier attempt's")
    for _ in range(2):
        assert open_directory(paths) is None
    assert [path for path in paths.root.rglob("*") if path.is_file()] == [paths.events]
    assert paths.events.read_text() == "an earlier attempt's"


@pytest.mark.parametrize("name", ["attempts", "logs", "events.jsonl"])
def test_what_an_earlier_attempt_left_and_this_one_cannot_write_is_refused(name: str, paths: RunPaths) -> None:
    left = paths.root / name
    left.mkdir() if left == paths.events else left.write_text("a file where a folder belongs")
    assert isinstance(open_directory(paths), OSError)


@pytest.mark.parametrize(("name", "mode"), [("attempts", 0o500), ("logs", 0o500), ("events.jsonl", 0o400)])
def test_what_belongs_to_someone_else_is_refused(name: str, mode: int, paths: RunPaths) -> None:
    assert open_directory(paths) is None
    paths.events.touch()
    (paths.root / name).chmod(mode)
    program = f"""
from pathlib import Path
from raytrain.driver.__main__ import open_directory
from raytrain.run.run_paths import RunPaths
print(open_directory(RunPaths(Path({str(paths.root)!r}))).strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, preexec_fn=give_up_root
    )
    (paths.root / name).chmod(0o700)
    assert done.stdout == "Permission denied\n", done.stderr


def request_of(storage: str) -> JobRequest:
    job = {"name": "case", "model": "model.py:build", "data": {"train": {"csv": "a.csv"}, "features": "x"}}
    spec = JobSpec.model_validate(job)
    return JobRequest(run="digits-1", attempt=1, submitted_at=0.0, storage=storage, spec=spec)


def test_what_earlier_attempts_left_is_fetched_once_none_of_them_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the one before writes while this one waits would be lost in the store, whose log this one replaces."""

    def claim_late(paths: RunPaths, attempt: int) -> Lease:
        assert paths.uri is not None
        ObjectStore(paths.uri).write("events.jsonl", b"the last words\n")
        return claim(paths, attempt)

    monkeypatch.setattr(entrypoint, "claim", claim_late)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with s3_server() as server:
        paths, lease, refusal = entrypoint._claim_directory(request_of(server.uri("runs")))
    assert (lease.attempt, refusal) == (1, None)
    assert paths.events.read_text() == "the last words\n"


def test_a_storage_that_goes_away_before_it_is_claimed_refuses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(paths: RunPaths, attempt: int) -> Lease:
        if paths.root.is_relative_to(tmp_path / "runs"):
            raise OSError(errno.EIO, "Input/output error")
        return claim(paths, attempt)

    monkeypatch.setattr(entrypoint, "claim", away)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    paths, lease, refusal = entrypoint._claim_directory(request_of(str(tmp_path / "runs")))
    assert (lease.attempt, refusal and refusal.errno) == (1, errno.EIO)
    assert paths.root.is_dir() and not paths.root.is_relative_to(tmp_path / "runs")
