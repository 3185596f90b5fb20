from __future__ import annotations

from pathlib import Path

import pytest

from raytrain.worker import backoff
from raytrain.worker.model_file import StorageError, publish


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
