"""Run directories as a driver leaves them, without a cluster: a job, what its steps learned, and a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import pyarrow as pa

from raytrain.data.pipeline import Pipeline
from raytrain.export_protocol import Exported, ExportRequest, Format
from raytrain.model.export.__main__ import export
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec


def trained_run(
    root: Path,
    columns: Mapping[str, list[Any]],
    model: keras.Model,
    *,
    features: Any,
    label: Any = "label",
    steps: list[dict[str, Any]] | None = None,
    options: dict[str, Any] | None = None,
) -> RunPaths:
    """The directory of a run that has trained `model` on these columns."""
    spec = JobSpec.model_validate(
        {
            "name": "tiny",
            "model": "model.py:build_model",
            "data": {
                "train": {"inline": dict(columns)},
                "features": features,
                "label": label,
                "preprocess": steps or [],
                "columns": options or {},
            },
        }
    )
    paths = RunPaths(root / "tiny-20261120-0715-4f2a")
    paths.root.mkdir(parents=True)
    paths.spec.write_text(spec.model_dump_json())
    pipeline = Pipeline(spec, root)
    pipeline.fit(lambda: iter([pa.table(dict(columns))]))
    paths.preprocessing.write_text(json.dumps(pipeline.to_json()))
    model.save(paths.model)
    return paths


def exported_as(paths: RunPaths, format: Format, *, without_preprocessing: bool = False) -> Exported:
    folder = paths.exports / format
    folder.mkdir(parents=True)
    return export(
        ExportRequest(
            directory=str(paths.root),
            shown=str(paths.root),
            folder=str(folder),
            format=format,
            without_preprocessing=without_preprocessing,
        )
    )
