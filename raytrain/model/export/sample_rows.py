"""Rows that an exported model is held against: the first of the job's data, or random ones where the model is alone.

Runs in: a child process of the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from raytrain.data.look.sampling import first_rows
from raytrain.data.pipeline import Pipeline
from raytrain.data.preprocess.step_field import Columns
from raytrain.data.sources import explain
from raytrain.errors import NotFound, Problem, RaytrainError, UserCodeError
from raytrain.export_protocol import Format
from raytrain.spec.job import JobSpec
from raytrain.spec.source_kinds import Source

_ROWS = 64
_LIVE = "arrays"  # of `raytrain.fit`, which are gone with their process


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A few rows.

    Attributes:
        before: the columns that the first step is given, (rows, …).
        features: what the model is fed of them, as `data.features` puts it together.
    """

    before: Columns
    features: Any


def sample_of_data(spec: JobSpec, folder: Path, pipeline: Pipeline) -> Sample:
    """The first rows of the train source, and what the run's own pipeline makes of them.

    Raises:
        NotFound: they cannot be read here.
    """
    source = spec.data.train
    try:
        if source.kind == _LIVE:
            raise UserCodeError(Problem(got="arrays of a process that has ended", expected="a source"))
        table = _read(source, spec, folder)
        return Sample(before=pipeline.columns_before(table), features=pipeline.apply(table)[0])
    except (RaytrainError, OSError, pa.ArrowException, ValueError) as error:
        problem = error.problems[0] if isinstance(error, RaytrainError) and error.problems else None
        raise NotFound(
            Problem(
                field="data.train",
                got=f"rows that cannot be read here: {problem.got if problem else error}",
                expected="a few rows of the job's data, which tell the types of its columns and prove the export",
                fix="--without-preprocessing exports the model alone, and tries it on random numbers",
            )
        ) from error


def _read(source: Source, spec: JobSpec, folder: Path) -> pa.Table:
    try:
        table, _ = first_rows(source, folder, "data.train", spec.data.columns, most=_ROWS)
    except (RaytrainError, OSError, pa.ArrowException, ValueError) as error:
        raise explain(error, source, folder, "data.train") from error
    return table


def random_features(model: keras.Model, format: Format) -> Any:
    """Numbers in the shapes and types of the model's inputs, a dict of them where it has several.

    Raises:
        NotFound: the model does not tell its inputs, or takes text.
    """
    inputs = list(getattr(model, "inputs", None) or [])
    if not inputs or any(str(each.dtype) == "string" for each in inputs):
        raise NotFound(
            Problem(
                got=f"model {model.name}, which does not tell what numbers it takes",
                expected="a model with inputs of numbers, or rows of its data in sight here",
            )
        )
    draws = np.random.default_rng(0)
    made = {each.name: _random(draws, [size or 1 for size in each.shape[1:]], str(each.dtype)) for each in inputs}
    return made if len(made) > 1 else next(iter(made.values()))


def _random(draws: np.random.Generator, shape: list[int], dtype: str) -> Any:
    if "int" in dtype:
        return draws.integers(0, 2, (_ROWS, *shape)).astype(dtype)
    return draws.random((_ROWS, *shape)).astype(dtype)
