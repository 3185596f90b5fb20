"""A handful of the conformance matrix through the whole road: two Ray workers, submitted, against plain Keras."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conformance.cases import ROWS
from tests.integration.conftest import Cli
from tests.worker.pool import Case, WorkerPool

CHOSEN = [
    "models: functional, dicts of inputs and outputs",
    "models: own train_step and test_step with sample weights",
    "models: GRU, a masked loss on every token",
    "models: BatchNormalization, fit.sync_batch_norm, images",
]
DATA_PY = """
import pathlib
import numpy as np


def read(split):
    with np.load(pathlib.Path(__file__).with_name(f"{split}.npz")) as arrays:
        return dict(arrays)


def train():
    return read("train")


def validation():
    return read("validation")


def test():
    return read("test")
"""


@pytest.fixture(scope="module")
def plain_keras() -> Iterator[WorkerPool]:
    pool = WorkerPool(0)
    yield pool
    pool.close()


def write_job(folder: Path, case: Case) -> Path:
    """The case as a user's folder: model.py, data.py, the rows beside it, job.yaml."""
    columns: dict[str, Any] = {}
    names: list[Any] = []
    for part, prefix in zip(case.splits["train"], ("x", "y", "w"), strict=False):
        names.append({key: f"{prefix}_{key}" for key in part} if isinstance(part, dict) else prefix)
    for split, arrays in case.splits.items():
        columns = {}
        for part, name in zip(arrays, names, strict=True):
            columns |= {name[key]: part[key] for key in part} if isinstance(part, dict) else {name: part}
        np.savez(folder / f"{split}.npz", **columns)
    data = {split: {"python": f"data.py:{split}"} for split in case.splits}
    data |= dict(zip(("features", "label", "weight"), names, strict=False))
    job = {"name": "case", "model": "model.py:build_model", "data": data, **case.spec}
    (folder / "job.yaml").write_text(json.dumps(job))
    (folder / "model.py").write_text(case.model_py)
    (folder / "data.py").write_text(DATA_PY)
    return folder


@pytest.mark.parametrize("name", CHOSEN)
def test_two_ray_workers_give_the_answer_of_plain_keras(
    name: str, cli: Cli, plain_keras: WorkerPool, tmp_path: Path
) -> None:
    case = ROWS[name].case
    [reference] = plain_keras.run(case, tmp_path)
    assert not reference.error, reference.error
    result = cli.submit(write_job(tmp_path, case), "--workers", "2")
    assert result["status"] == "SUCCEEDED", result["error"]
    assert result["test"] == pytest.approx(reference.test, abs=4e-5)
    history = json.loads(cli("metrics", result["run"], "--json").stdout)["epochs"]
    for ours, theirs in zip(history, reference.history, strict=True):
        assert {key: ours[key] for key in theirs} == pytest.approx(theirs, abs=4e-5)
    if "own" in name:
        return  # its class is in the user's file; its weights are in the test's metrics
    model = keras.saving.load_model(result["model"])
    for ours, theirs in zip(model.get_weights(), reference.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=4e-5)
