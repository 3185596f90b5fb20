"""Exports a model and holds what was written against the model's own answers before it counts.

Runs in: a child process of the client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from raytrain.data.pipeline import Pipeline
from raytrain.data.preprocess.step_field import Array
from raytrain.errors import NotFound, Problem, UserCodeError
from raytrain.export_protocol import ARTIFACTS, Exported, ExportRequest, Format
from raytrain.model.export import artifacts
from raytrain.model.export.sample_rows import random_features, sample_of_data
from raytrain.model.export.served_model import ServedModel, alone, served_steps, with_steps
from raytrain.model.load_trained import load_with_names
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec

# Other kernels sum in another order; a wrong step or weight is off by far more.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4


def export_proven(
    request: ExportRequest, paths: RunPaths, spec: JobSpec, folder: Path
) -> tuple[Exported, Pipeline | None]:
    """The artifact, written into the request's folder and run there, and the run's pipeline.

    Args:
        folder: the job's files.

    Raises:
        UsageError, NotFound, UserCodeError: as `raytrain.model.export.__main__.export` says.
    """
    model, names = load_with_names(paths)
    leaves_out = request.without_preprocessing or request.format == "weights"
    pipeline = _pipeline(paths, spec, folder, leaves_out=leaves_out)
    has_steps = bool(served_steps(pipeline or Pipeline(spec, folder), spec.data)[0])
    served, of_data = _served(model, request, spec, folder, pipeline, leaves_out=leaves_out, has_steps=has_steps)
    artifact = Path(request.folder) / ARTIFACTS[request.format]
    if request.format == "weights":
        model.save_weights(artifact)
        answers = _answers_of_weights(artifact, paths, spec, served)
    else:
        artifacts.write(served, artifact, request.format)
        answers = artifacts.run(artifact, request.format, served.rows, names)
    largest = difference(answers, served.answers, request.format)
    exported = Exported(
        run=paths.run,
        format=request.format,
        path=request.folder,
        artifact=str(artifact),
        inputs=served.inputs,
        outputs=tuple(served.answers),
        preprocessing="none" if not has_steps else "outside" if leaves_out else "inside",
        rows=len(next(iter(served.rows.values()))),
        of_data=of_data,
        largest_difference=largest,
        bytes=_size_of(artifact),
    )
    return exported, pipeline


def difference(answers: Mapping[str, Array], wanted: Mapping[str, Array], format: Format) -> float:
    """The largest absolute difference.

    Raises:
        UserCodeError: it is more than another order of summing makes, or an output is missing.
    """
    largest = 0.0
    for name, want in wanted.items():
        got = answers.get(name)
        fits = got is not None and got.shape == want.shape
        if got is not None and fits:
            apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
            largest = max(largest, float(np.nanmax(apart, initial=0.0)))
            fits = bool(np.allclose(got, want, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True))
        if not fits:
            gave = (
                "no such output"
                if got is None
                else f"shape {got.shape}"
                if got.shape != want.shape
                else f"{largest:.1e} apart"
            )
            raise UserCodeError(
                Problem(
                    got=f"{format}, whose answers `{name}` are not the model's: {gave}",
                    expected="the model's own answers on the same rows",
                    fix="nothing was kept; another --format may express this model",
                )
            )
    return largest


def _served(
    model: keras.Model,
    request: ExportRequest,
    spec: JobSpec,
    folder: Path,
    pipeline: Pipeline | None,
    *,
    leaves_out: bool,
    has_steps: bool,
) -> tuple[ServedModel, bool]:
    """What is exported, and whether rows of the data prove it."""
    try:
        if pipeline is None and spec.data.preprocess:
            raise NotFound(Problem(got="steps that are not fitted", expected="those of the run"))
        sample = sample_of_data(spec, folder, pipeline or Pipeline(spec, folder))
    except NotFound:
        if has_steps and not leaves_out:
            raise
        return alone(model, random_features(model, request.format), spec.data, request.format), False
    if leaves_out or pipeline is None:
        return alone(model, sample.features, spec.data, request.format), True
    return with_steps(model, sample, pipeline, spec.data, request.format), True


def _pipeline(paths: RunPaths, spec: JobSpec, folder: Path, *, leaves_out: bool) -> Pipeline | None:
    """The run's fitted steps; None where it has none, or they are not there and not needed.

    Raises:
        NotFound: the job has steps, and the directory does not hold what they learned.
    """
    try:
        return Pipeline.from_json(json.loads(paths.preprocessing.read_text()), spec, folder)
    except OSError as error:
        if leaves_out or not spec.data.preprocess:
            return None
        got = f"a run whose {paths.preprocessing.name} is not there: {error.strerror}"
        fix = "--without-preprocessing exports the model alone"
        raise NotFound(Problem(got=got, expected="what its preprocessing steps learned", fix=fix)) from error


def _answers_of_weights(artifact: Path, paths: RunPaths, spec: JobSpec, served: ServedModel) -> dict[str, Array]:
    """Of the same layers with other weights, once these are loaded."""
    model, _ = load_with_names(paths)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(keras.ops.zeros_like(variable))
    model.load_weights(artifact)
    fresh = alone(model, served.features, spec.data, "weights")
    return dict(fresh.answers)


def _size_of(artifact: Path) -> int:
    files = [artifact] if artifact.is_file() else [file for file in artifact.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
