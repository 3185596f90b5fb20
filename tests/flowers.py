"""A run that has ended, made here without a cluster: its model, its spec, what preprocessing learned, its job."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from raytrain.data.dataset import PackedSplits, pack_tables
from raytrain.data.pipeline import Pipeline
from raytrain.driver.finished_run import FinishedRun, open_run
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

RUN = "flowers-20261120-0715-4f2a"
KINDS = ["iris", "lily", "rose"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was made. `packed`: the splits as the model was trained on them."""

    paths: RunPaths
    spec: JobSpec
    folder: Path
    rows: pd.DataFrame
    packed: PackedSplits

    def open(self, task: str = "predict", moment: str = "now") -> FinishedRun:
        results = self.paths.task(task, moment)
        results.mkdir(parents=True, exist_ok=True)
        return open_run(self.paths, self.folder, results)


def flower_rows(rows: int = 300, *, seed: int = 0) -> pd.DataFrame:
    """Rows of text and numbers whose kind can be told from them."""
    random = np.random.default_rng(seed)
    number = random.integers(0, 3, rows)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "colour": np.array(["blue", "white", "red"])[(number + (random.random(rows) < 0.1)) % 3],
            "height": number * 10 + random.normal(0, 3, rows),
            "width": random.normal(5, 2, rows),
            "garden": np.where(random.random(rows) < 0.3, "north", "south"),
            "kind": np.array(KINDS)[number],
        }
    )


def flower_spec(**data: Any) -> JobSpec:
    """A job that numbers text and standardizes numbers, and tells one of three kinds."""
    return JobSpec.model_validate(
        {
            "name": "flowers",
            "model": {
                "layers": [
                    {"Input": {"shape": [5]}},
                    {"Dense": {"units": 16, "activation": "relu"}},
                    {"Dense": {"units": 3, "activation": "softmax"}},
                ]
            },
            "compile": {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
            "data": {
                "train": {"csv": "flowers.csv"},
                "test": 0.3,
                "features": ["colour", "height", "width"],
                "label": "kind",
                "preprocess": [
                    {"one_hot": {"columns": ["colour"]}},
                    {"standardize": {"columns": ["height", "width"]}},
                    {"encode": {"columns": ["kind"]}},
                ],
                **data,
            },
            "fit": {"epochs": 2, "global_batch_size": 32, "seed": 0},
            "scaling": {"workers": 2, "cpus_per_worker": 1},
        }
    )


def make_run(root: Path, *, spec: JobSpec | None = None, rows: pd.DataFrame | None = None, epochs: int = 10) -> Made:
    """Trains the job's model with plain Keras and writes the run's directory."""
    import keras

    spec = flower_spec() if spec is None else spec
    rows = flower_rows() if rows is None else rows
    folder = root / "job"
    folder.mkdir(parents=True)
    rows.to_csv(folder / "flowers.csv", index=False)
    pipeline = Pipeline(spec, folder)
    packed = pack_tables(spec, {"train": pa.Table.from_pandas(rows, preserve_index=False)}, pipeline)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([_layer(layer) for layer in spec.model.layers or []])
    assert spec.compile is not None
    model.compile(optimizer="adam", loss=spec.compile.loss, metrics=spec.compile.metrics)
    features, labels = packed.splits["train"][:2]
    model.fit(features, labels, epochs=epochs, verbose=0)
    paths = RunPaths.of(root / "runs", RUN)
    paths.root.mkdir(parents=True)
    model.save(paths.model)
    paths.spec.write_text(spec.model_dump_json())
    paths.preprocessing.write_text(json.dumps(pipeline.to_json()))
    request = JobRequest(run=RUN, attempt=1, submitted_at=0.0, spec=spec, storage=str(root / "runs"))
    paths.request.write_text(request.model_dump_json())
    with zipfile.ZipFile(paths.package, "w") as archive:
        archive.write(folder / "flowers.csv", "flowers.csv")
        archive.writestr(".raytrain/job.json", request.model_dump_json())
    return Made(paths=paths, spec=spec, folder=folder, rows=rows, packed=packed)


def _layer(layer: dict[str, dict[str, Any] | None]) -> Any:
    import keras

    [(kind, arguments)] = layer.items()
    return (
        keras.layers.Input(**(arguments or {})) if kind == "Input" else getattr(keras.layers, kind)(**(arguments or {}))
    )
