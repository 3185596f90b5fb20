"""`raytrain plan --workers 1,2,4`: an epoch's time on other numbers of workers, from a run that was timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raytrain.client.forecast import foresee, scaling_lines
from raytrain.client.registry import RunRecord, remember
from raytrain.run.run_paths import RunPaths
from raytrain.spec.load import LoadedJob, load_job
from tests.integration.conftest import JOBS

TIMED = {
    "workers": 2,
    "steps_per_epoch": 45,
    "parameters": 38_410,
    "global_batch_size": 32,
    "timing": {"epoch_s": [1.5, 0.2, 0.3, 0.2]},
}


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LoadedJob:
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    return load_job(str(JOBS / "digits"))


def ran(job: LoadedJob, storage: Path, run: str, **status: object) -> None:
    paths = RunPaths.of(storage, run)
    paths.root.mkdir(parents=True)
    paths.status.write_text(json.dumps(TIMED | status))
    remember(RunRecord(run=run, storage=str(storage), job=str(job.folder)))


def test_the_latest_timed_run_is_taken(job: LoadedJob, tmp_path: Path) -> None:
    ran(job, tmp_path, "timed")
    ran(job, tmp_path, "one-epoch", timing={"epoch_s": [1.5]})
    ran(job, tmp_path, "other-batch", global_batch_size=64)
    ran(job, tmp_path, "never-built", parameters=None)
    scaling = foresee(job, [1, 2, 4])
    assert scaling is not None
    assert (scaling.run, scaling.measured.epoch_s, scaling.measured.gradient_bytes) == ("timed", 0.2, 153_640)
    assert [prediction.workers for prediction in scaling.predictions] == [1, 2, 4]
    assert scaling.predictions[1].epoch_s == pytest.approx(0.2)
    lines = [f"{label} {text}" for label, text in scaling_lines(scaling)]
    assert lines[0].startswith("epoch 1 worker: ")
    assert lines[0].endswith("efficiency 100%")
    assert "foreseen from timed, 0.20s on 2 workers" in lines[3]


def test_without_a_timed_run_it_says_how_to_get_one(job: LoadedJob) -> None:
    assert foresee(job, [1, 2]) is None
    [(_, text)] = scaling_lines(None)
    assert "--set fit.epochs=2" in text
