"""Preprocesses small tables as a job would."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.pipeline import Pipeline
from raytrain.data.sources.memory_tables import table_of_arrays
from raytrain.spec.job import JobSpec


def job(*steps: Mapping[str, Any], loss: Any = None, layers: Any = None, **data: Any) -> JobSpec:
    """A job of these steps as it arrives at the cluster; its input is `x` unless told otherwise."""
    spec = JobSpec.model_validate(
        {
            "name": "job",
            "model": {"layers": layers} if layers else "model.py:build_model",
            "compile": {"loss": loss} if loss or layers else None,
            "data": {"train": {"inline": {"x": [0]}}, "features": "x", "preprocess": list(steps)} | data,
        }
    )
    return JobSpec.model_validate_json(spec.model_dump_json())


def table(columns: Mapping[str, Any] | pa.Table) -> pa.Table:
    """Arrays as they are, lists as Arrow takes them."""
    if isinstance(columns, pa.Table):
        return columns
    made = {
        name: table_of_arrays({name: values}).column(name) if isinstance(values, np.ndarray) else pa.array(values)
        for name, values in columns.items()
    }
    return pa.table(made)


def fitted(spec: JobSpec, train: Any, folder: Path = Path(), *, cuts: tuple[int, ...] = ()) -> Pipeline:
    """A pipeline that learned from the train rows, cut into tables before the rows `cuts`."""
    rows = table(train)
    pipeline = Pipeline(spec, folder)

    def tables() -> Iterator[pa.Table]:
        bounds = [0, *cuts, rows.num_rows]
        return (rows.slice(start, stop - start) for start, stop in itertools.pairwise(bounds))

    pipeline.fit(tables)
    return pipeline


def features(spec: JobSpec, train: Any, other: Any = None, folder: Path = Path()) -> Any:
    """The input of the rows of `other`, or of the train rows, through a pipeline that was written and read again."""
    first = fitted(spec, train, folder)
    again = Pipeline.from_json(json.loads(json.dumps(first.to_json())), spec, folder)
    return again.apply(table(train if other is None else other))[0]
