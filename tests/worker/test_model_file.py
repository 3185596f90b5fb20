from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from raytrain.run.run_paths import RunPaths
from raytrain.worker import model_file
from raytrain.worker.checkpoints import backoff
from raytrain.worker.model_file import StorageError, publish, save_model


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "_FIRST_S", 0.02)


def test_storage_that_comes_back_gets_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = tmp_path / "made.keras", tmp_path / "run/model.keras"
    made.write_bytes(b"model")
    told: list[str] = []
    tries = []

    def wait(failures: int) -> float:
        tries.append(failures)
        if failures == 3:
            target.parent.mkdir()
        return 0.01

    monkeypatch.setattr(backoff, "wait_s", wait)
    publish(made, target, notice=told.append)
    assert target.read_bytes() == b"model"
    assert tries == [1, 2, 3]
    assert len(told) == 1
    assert [path.name for path in target.parent.iterdir()] == ["model.keras"]


def test_storage_that_does_not_come_back_leaves_the_model_here_and_says_so(tmp_path: Path) -> None:
    made, target = tmp_path / "made.keras", tmp_path / "nowhere/model.keras"
    made.write_bytes(b"model")
    with pytest.raises(StorageError) as lost:
        publish(made, target, notice=lambda text: None, patience_s=0.1)
    assert str(made) in str(lost.value)
    assert str(target) in str(lost.value)
    assert made.read_bytes() == b"model"


class Model:
    """Stands for Keras': `save` writes half a file, then does this."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def save(self, path: Path) -> None:
        path.write_bytes(b"half")
        self._then()

    def save_weights(self, path: Path) -> None:
        path.write_bytes(b"weights")


def raising(error: BaseException) -> Callable[[], None]:
    def then() -> None:
        raise error

    return then


def save(then: Callable[[], None], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves into `root/run`, with `root/own` for this machine's own disk."""
    own = root / "own"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    save_model(cast(Any, Model(then)), RunPaths(root / "run"), rank=0, notice=lambda text: None)


def test_a_machines_own_disk_that_is_full_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = raising(OSError(errno.ENOSPC, "Can't write data (file write failed: time = Sat Nov 21\n, …"))
    with pytest.raises(StorageError) as lost:
        save(full, tmp_path, monkeypatch)
    assert str(lost.value).startswith(f"got No space left on device for {tmp_path / 'own'}")
    assert not [*(tmp_path / "own").iterdir()]


def test_nothing_is_left_on_the_machines_own_disk_of_a_save_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        save(raising(KeyboardInterrupt()), tmp_path, monkeypatch)
    assert not [*(tmp_path / "own").iterdir()]


@pytest.mark.parametrize("error", [KeyError("layer"), AttributeError("units"), TypeError("no config")])
def test_weights_at_least_are_saved_of_a_model_that_cannot_say_how_it_is_made(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a layer's `get_config` fails, which nothing asks before."""
    (tmp_path / "run").mkdir()
    save(raising(error), tmp_path, monkeypatch)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.weights.h5"]


def test_the_model_alone_is_left_there_where_storage_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "PATIENCE_S", 0.1)
    with pytest.raises(StorageError, match="is kept as"):
        save(lambda: None, tmp_path, monkeypatch)
    [kept] = [path for path in (tmp_path / "own").rglob("*") if path.is_file()]
    assert kept.name == "model.keras"


def test_nothing_is_left_there_of_a_model_that_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    save(lambda: None, tmp_path, monkeypatch)
    assert not [*(tmp_path / "own").iterdir()]
    assert (tmp_path / "run" / "model.keras").read_bytes() == b"half"
