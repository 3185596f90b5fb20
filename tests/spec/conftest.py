"""Jobs written to a temporary folder, and what loading or checking them refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raytrain.errors import Problem, SpecError
from raytrain.spec.checks import check_job
from raytrain.spec.load import LoadedJob, load_job

MODEL_PY = """\
import keras

def build_model(hidden=8):
    return keras.Sequential([keras.layers.Dense(hidden)])
"""
JOB_YAML = """\
name: small
model: model.py:build_model
data:
  train: {sklearn: digits}
  validation: 0.1
"""

Write = Callable[..., Path]


@pytest.fixture
def write_job(tmp_path: Path) -> Write:
    """Writes files to a folder `job`, a job.yaml and a model.py among them, and returns the folder."""

    def write(yaml: str = JOB_YAML, **files: str) -> Path:
        folder = tmp_path / "job"
        folder.mkdir(exist_ok=True)
        (folder / "job.yaml").write_text(yaml)
        (folder / "model.py").write_text(MODEL_PY)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder

    return write


def refused(folder: Path, *overrides: str) -> list[Problem]:
    """The problems that loading and checking a job raises."""
    with pytest.raises(SpecError) as caught:
        check_job(load_job(str(folder), overrides=overrides))
    return list(caught.value.problems)


def accepted(folder: Path, *overrides: str) -> LoadedJob:
    job = load_job(str(folder), overrides=overrides)
    check_job(job)
    return job
