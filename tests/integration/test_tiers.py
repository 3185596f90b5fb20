"""The three tiers through the whole road: the same parquet rows, submitted on two workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import Cli

ROWS, FILES = 1201, 3
MODEL_PY = """
import keras


def build_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    return model
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, 4)).astype(np.float32)
    y = (x @ [1.0, -2.0, 0.5, 0.0]).astype(np.float32)
    for file, rows in enumerate(np.array_split(np.arange(ROWS), FILES)):
        column = pa.FixedSizeListArray.from_arrays(pa.array(x[rows].ravel()), 4)
        pq.write_table(pa.table({"x": column, "y": y[rows]}), folder / f"{file}.parquet")
    (folder / "model.py").write_text(MODEL_PY)
    job = {
        "name": "tiers",
        "model": "model.py:build_model",
        "data": {
            "train": {"parquet": "*.parquet"},
            "validation": 0.1,
            "test": 0.1,
            "features": "x",
            "label": "y",
        },
        "fit": {"epochs": 3, "global_batch_size": 100},
        "scaling": {"workers": 2},
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    return folder


def events(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    lines = (Path(result["storage"]) / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


@pytest.mark.parametrize("tier", ["streaming", "shared", "sharded"])
def test_a_job_trains_on_every_row_in_each_tier(tier: str, folder: Path, cli: Cli) -> None:
    result = cli.submit(folder, "--set", f"data.cache={tier}")
    assert result["status"] == "SUCCEEDED", result["error"]
    assert result["rows"] == {"train": 961, "validation": 120, "test": 120}
    assert result["steps_per_epoch"] == 10
    [sharded] = events(result, "sharded")
    assert sharded["tier"] == tier
    assert sharded["splits"]["train"]["rows_per_worker"] == [481, 480]
    assert sharded["splits"]["train"]["dropped"] == 0
    epochs = events(result, "epoch_end")
    assert len(epochs) == 3
    assert epochs[-1]["metrics"]["val_loss"] < epochs[0]["metrics"]["val_loss"] < 5
    assert result["test"]["loss"] == pytest.approx(epochs[-1]["metrics"]["val_loss"], rel=0.5)
    for epoch in epochs:
        assert all(0 <= waited <= epoch["seconds"] for waited in epoch["rank_wait_s"])
        rows = [rate * seconds for rate, seconds in zip(epoch["rank_rows_per_s"], epoch["rank_seconds"], strict=True)]
        assert rows == pytest.approx([481, 480])


def test_the_plan_names_the_tier(folder: Path, cli: Cli) -> None:
    plan = json.loads(cli("plan", folder, "--json").stdout)
    assert plan["tier"] == "shared"
    assert "object store" in plan["tier_reason"]
    streaming = json.loads(cli("plan", folder, "--json", "--set", "data.cache=streaming").stdout)
    assert streaming["tier"] == "streaming"
    assert "another order" in streaming["promise"]
    refused = cli("plan", folder, "--set", "data.cache=streaming", "--workers", "4")
    assert refused.returncode == 3
    assert "one CPU left to read" in refused.stderr
