"""A process's own copy of a run in an object store, on a real S3 server and with processes that are really killed."""

from __future__ import annotations

import functools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from raytrain.run.mirror import Mirror
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import COPIES, RunPaths
from raytrain.worker.checkpoints import object_storage
from raytrain.worker.checkpoints.object_storage import mirrored
from tests.s3 import S3, s3_server

FOREVER_S = 600.0


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are made, here and in the processes that a test starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def write(uri: str, connection: Connection) -> None:
    """Runs in a process of its own, which is killed within the block."""
    paths = RunPaths.to_write(uri, "digits-1")
    with mirrored(paths, notice=lambda text: None):
        (paths.root / "events.jsonl").write_text("1\n")
        connection.send(paths.root.parent)
        time.sleep(FOREVER_S)


def test_the_copy_of_a_killed_process_goes_and_that_of_a_live_one_stays(s3: S3) -> None:
    uri, context = s3.uri("runs"), multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    writers = [context.Process(target=write, args=(uri, theirs), daemon=True) for _ in range(2)]
    for writer in writers:
        writer.start()
    theirs.close()
    first, second = ours.recv(), ours.recv()
    assert first.is_dir() and second.is_dir()

    for copy in (first, second):
        os.utime(copy / ".owner", (0, 0))
    writers[0].kill()
    writers[0].join()
    paths = RunPaths.to_write(uri, "digits-1")
    with mirrored(paths, notice=lambda text: None):
        left = [copy for copy in (first, second) if copy.exists()]
        assert len(left) == 1
    assert not paths.root.exists()

    writers[1].kill()
    writers[1].join()
    os.utime(left[0] / ".owner")
    with mirrored(RunPaths.to_write(uri, "digits-1"), notice=lambda text: None):
        assert left[0].exists(), "what was killed a moment ago may be looked into"
    os.utime(left[0] / ".owner", (0, 0))
    with mirrored(RunPaths.to_write(uri, "digits-1"), notice=lambda text: None):
        assert not left[0].exists()


def test_a_copy_of_what_could_not_be_pushed_is_kept(s3: S3, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(ObjectStore, "push", refuse)
    monkeypatch.setattr(object_storage, "Mirror", functools.partial(Mirror, every_s=0.05, last_tries_s=0.1))
    paths = RunPaths.to_write(s3.uri("runs"), "digits-2")
    with mirrored(paths, notice=lambda text: None):
        (paths.root / "events.jsonl").write_text("1\n")
    with mirrored(RunPaths.to_write(s3.uri("runs"), "digits-3"), notice=lambda text: None):
        pass
    assert (paths.root / "events.jsonl").read_text() == "1\n"
    assert len(list(copies.glob(f"{COPIES}*"))) == 1
