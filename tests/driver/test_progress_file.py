"""The file that says how far the ranks are within the epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from raytrain import protocol
from raytrain.driver.progress_file import kept_progress
from raytrain.driver.rank_progress import RankProgress
from raytrain.run.run_paths import RunPaths
from raytrain.run.step_progress import StepProgress
from tests.cli.test_run_verbs import until


def beat(rank: int, step: int, phase: str = "train") -> protocol.Heartbeat:
    return protocol.Heartbeat(
        rank=rank,
        time=float(step),
        phase=phase,
        epoch=1,
        step=step,
        stalled_s=0.0,
        step_s=0.5,
        memory_bytes=rank + 7,
        gpu_utilization=0.5 + rank / 4,
        gpu_memory_bytes=rank + 1,
    )


def test_it_follows_the_rank_that_is_furthest_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.driver.progress_file._EVERY_S", 0.01)
    paths, progress = RunPaths(tmp_path), RankProgress(2)
    progress.placed()
    with kept_progress(paths, progress, attempt=3, steps=40):
        progress.note(beat(0, 12))
        progress.note(beat(1, 10))
        until(paths.progress.exists)
        until(lambda: (read := StepProgress.read(paths.progress)) is not None and read.step == 10)
        progress.note(beat(1, 30))
        until(lambda: (read := StepProgress.read(paths.progress)) is not None and read.step == 12)
    told = StepProgress.read(paths.progress)
    assert told is not None
    assert (told.attempt, told.epoch, told.steps) == (3, 1, 40)
    assert told.steps_per_s >= 2.0
    assert (told.memory_bytes, told.gpu_utilization, told.gpu_memory_bytes) == (8, 0.5, 2)


def test_none_in_an_object_store(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path, "s3://bucket/run")
    with kept_progress(paths, RankProgress(1), attempt=1, steps=1):
        assert not paths.progress.exists()
