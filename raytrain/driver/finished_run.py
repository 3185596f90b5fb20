"""What a finished run has left, opened for a task: its model, its spec and what its preprocessing has learned.

Runs in: the driver.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from raytrain.data.pipeline import Pipeline
from raytrain.errors import NotFound, Problem
from raytrain.run.bring_here import bring_here
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a task works with.

    Attributes:
        folder: the job's files, on every node.
        results: where the task's files are kept.
    """

    paths: RunPaths
    spec: JobSpec
    pipeline: Pipeline
    folder: Path
    results: Path


def open_run(paths: RunPaths, folder: Path, results: Path) -> FinishedRun:
    """What the run left, brought here from its store.

    Raises:
        NotFound: it has no model, or its preprocessing is not kept.
    """
    bring_here(paths, paths.model, paths.spec, paths.preprocessing, paths.package)
    if not paths.model.is_file():
        got = f"run {paths.run}, which has no model at {paths.shown(paths.model)}"
        if paths.weights.is_file():
            got = f"run {paths.run}, of which Keras could save the weights alone, {paths.shown(paths.weights)}"
        fix = f"raytrain status {paths.run} tells how it ended"
        raise NotFound(Problem(got=got, expected="a run that has saved its model", fix=fix))
    spec = JobSpec.model_validate_json(paths.spec.read_text())
    if spec.data.train.arrays is not None:
        fix = "raytrain.get(RUN).model() is the model, whose own evaluate and predict take arrays"
        raise NotFound(Problem(got=f"{paths.run}, a run of arrays", expected="a run whose data has columns", fix=fix))
    return FinishedRun(paths=paths, spec=spec, pipeline=_pipeline(paths, spec, folder), folder=folder, results=results)


def _pipeline(paths: RunPaths, spec: JobSpec, folder: Path) -> Pipeline:
    try:
        learned = json.loads(paths.preprocessing.read_text())
    except (OSError, ValueError) as error:
        if not spec.data.preprocess:
            return Pipeline(spec, folder)
        got = f"{paths.shown(paths.preprocessing)}, which cannot be read: {error}"
        raise NotFound(Problem(got=got, expected="what the run's preprocessing has learned")) from error
    return Pipeline.from_json(learned, spec, folder)
