"""Checkpoints are written in the background: one at a time, tried again when storage fails, never lost silently."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from raytrain import protocol
from raytrain.run import events
from raytrain.worker.checkpoints import backoff
from raytrain.worker.checkpoints.checkpoint import Snapshot, read_newest
from raytrain.worker.checkpoints.checkpoint_writer import Save, Writer
from tests.worker.pool import told_of


class Storage:
    """Storage that is out of order while `error` is set, and slow while `held` is."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.open = threading.Event()
        self.open.set()

    def at(self, snapshot: Snapshot, point: str) -> None:
        self.open.wait(20)
        if self.error is not None:
            raise self.error


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def sent() -> list[protocol.Message]:
    return []


@pytest.fixture
def writer(tmp_path: Path, storage: Storage, sent: list[protocol.Message]) -> Iterator[Writer]:
    writer = Writer(tmp_path, keep=9, send=sent.append, at=storage.at)
    yield writer
    storage.error = None
    storage.open.set()
    writer.close(limit_s=20)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "_FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "_LONGEST_S", 0.02)


def save(epoch: int, value: float = 1.0) -> Save:
    weights = [np.full(4, value, np.float32)]
    return Save(snapshot=Snapshot(epoch=epoch, variables=weights, best_weights=None, state={}), weights=weights)


def newest(root: Path) -> int | None:
    found = read_newest(root, skipped=lambda path, why: pytest.fail(why))
    return found[1].epoch if found else None


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kinds(sent: list[protocol.Message]) -> list[str]:
    return [type(event).__name__ for event in told_of(sent, events.Event)]


def test_a_save_is_written_and_told_of(writer: Writer, sent: list[protocol.Message], tmp_path: Path) -> None:
    assert writer.reclaim()
    writer.offer(save(0))
    assert writer.close(limit_s=20)
    assert newest(tmp_path) == 0
    [written] = told_of(sent, events.CheckpointSaved)
    assert (written.epoch, written.step, written.path) == (0, 0, str(tmp_path / "epoch-000000"))


def test_nobody_waits_for_a_write_in_progress(writer: Writer, storage: Storage, tmp_path: Path) -> None:
    storage.open.clear()
    writer.reclaim()
    writer.offer(save(0))
    until(lambda: not writer.reclaim())
    began = time.monotonic()
    assert not writer.reclaim()
    assert time.monotonic() - began < 1
    storage.open.set()
    assert writer.reclaim(patience_s=20)
    assert newest(tmp_path) == 0


def test_failures_are_told_once_each_and_tried_again_until_it_works(
    writer: Writer, storage: Storage, sent: list[protocol.Message], tmp_path: Path
) -> None:
    storage.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    writer.reclaim()
    writer.offer(save(0))
    until(lambda: len(sent) == 1)
    time.sleep(0.2)
    assert len(sent) == 1
    storage.error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    until(lambda: len(sent) == 2)
    assert [failed.why for failed in told_of(sent, events.CheckpointFailed)] == [
        "No space left on device",
        "Permission denied",
    ]
    assert [path.name for path in tmp_path.iterdir()] == []
    storage.error = None
    until(lambda: len(sent) == 3)
    assert kinds(sent)[-1] == "CheckpointSaved"
    assert newest(tmp_path) == 0


def test_a_newer_save_takes_the_place_of_one_that_waits(
    writer: Writer, storage: Storage, sent: list[protocol.Message], tmp_path: Path
) -> None:
    storage.error = OSError(errno.EIO, "out of order")
    writer.reclaim()
    writer.offer(save(0))
    until(lambda: len(sent) == 1)
    assert writer.reclaim(patience_s=20)
    writer.offer(save(1))
    storage.error = None
    assert writer.close(limit_s=20)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000001"]


def test_storage_that_has_been_slow_is_waited_for_longer(writer: Writer, storage: Storage, tmp_path: Path) -> None:
    for epoch in (0, 1):
        storage.open.clear()
        assert writer.reclaim(patience_s=20)
        writer.offer(save(epoch))
        threading.Timer(1.0, storage.open.set).start()
        until(lambda: not writer.is_free)
    assert writer.close(limit_s=0.1)
    assert newest(tmp_path) == 1


def test_what_cannot_be_written_in_the_end_is_given_up_aloud(
    writer: Writer, storage: Storage, sent: list[protocol.Message]
) -> None:
    storage.error = OSError(errno.EIO, "out of order")
    writer.reclaim()
    writer.offer(save(3))
    assert not writer.close(limit_s=0.3)
    last = told_of(sent, events.CheckpointFailed)[-1]
    assert (last.epoch, last.why, last.given_up) == (3, "out of order", True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_never_written(
    value: float, writer: Writer, sent: list[protocol.Message], tmp_path: Path
) -> None:
    writer.reclaim()
    writer.offer(save(0))
    assert writer.reclaim(patience_s=20)
    writer.offer(save(1, value))
    assert writer.close(limit_s=20)
    assert newest(tmp_path) == 0
    assert kinds(sent) == ["CheckpointSaved"]


def test_a_bug_in_the_thread_is_raised_where_it_is_seen(tmp_path: Path, sent: list[protocol.Message]) -> None:
    def broken(snapshot: Snapshot, point: str) -> None:
        raise RuntimeError("a bug")

    writer = Writer(tmp_path, keep=1, send=sent.append, at=broken)
    writer.reclaim()
    writer.offer(save(0))
    with pytest.raises(RuntimeError, match="a bug"):
        writer.close(limit_s=20)


def test_waits_grow_and_end_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [backoff.wait_s(failures) for failures in (1, 2, 3, 9)] == [0.5, 1.0, 2.0, 10.0]
