"""Looks at a job's data: its spec as JSON on standard input, its folder as the argument, the look as JSON at the end.

Runs in: a child process of the client.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pyarrow as pa

from raytrain.data.look.column_looks import look_at_columns
from raytrain.data.look.sampling import first_rows
from raytrain.data.look.suspicions import suspicious_columns, suspicious_splits
from raytrain.data.packed import Arrays
from raytrain.data.pipeline import Pipeline
from raytrain.data.sources import explain
from raytrain.data.splits import make_splitter, read_key
from raytrain.errors import RaytrainError, UserCodeError
from raytrain.spec.checks import SPLITS
from raytrain.spec.data_look import DataLook
from raytrain.spec.job import JobSpec
from raytrain.spec.source_kinds import Source

_ROWS = 100_000


def look_at_data(spec: JobSpec, folder: Path, *, most: int = _ROWS) -> DataLook:
    """The first rows of every source, their columns, and what is suspicious about them.

    Raises:
        UserCodeError: a source cannot be read.
    """
    tables, whole = _read_all(spec, folder, most)
    problems: list[str] = []
    parts: dict[str, pa.Table] = {"train": tables["train"]}
    packed: dict[str, Arrays] = {}
    pipeline, made = Pipeline(spec, folder), {}
    try:
        parts = _split(tables, spec)
        pipeline.fit(lambda: iter([parts["train"]]))
        made = dict(pipeline.columns(tables["train"]))
        packed = {split: pipeline.apply(table) for split, table in parts.items() if table.num_rows}
    except RaytrainError as error:
        problems += [
            f"{problem.field}: got {problem.got}; {problem.fix or problem.expected}" for problem in error.problems
        ]
    columns = look_at_columns(tables["train"], spec.data, made)
    suspicious = [*suspicious_columns(columns, tables["train"], spec)]
    if "train" in packed:
        suspicious += suspicious_splits(packed, spec)
    return DataLook(
        rows={split: table.num_rows for split, table in parts.items() if table.num_rows},
        is_whole=whole,
        columns=tuple(columns),
        suspicious=tuple(suspicious),
        problems=tuple(problems),
    )


def _read_all(spec: JobSpec, folder: Path, most: int) -> tuple[dict[str, pa.Table], bool]:
    tables: dict[str, pa.Table] = {}
    whole = True
    for part in SPLITS:
        source = getattr(spec.data, part)
        if not isinstance(source, Source):
            continue
        try:
            tables[part], is_whole = first_rows(source, folder, f"data.{part}", spec.data.columns, most=most)
        except (RaytrainError, OSError, pa.ArrowException, ValueError) as error:
            raise explain(error, source, folder, f"data.{part}") from error
        whole = whole and is_whole
    return tables, whole


def _split(tables: dict[str, pa.Table], spec: JobSpec) -> dict[str, pa.Table]:
    train = tables["train"]
    splitter = make_splitter(spec, train.num_rows, read_key(train, spec.data))
    marks = splitter.of(0, train.num_rows)
    return {
        split: tables[split] if split in tables and split != "train" else train.filter(pa.array(marks == number))
        for number, split in enumerate(SPLITS)
    }


def main() -> int:
    """The look on standard output, or the problems, with the exit code of a refused job."""
    spec, folder = JobSpec.model_validate_json(sys.stdin.read()), Path(sys.argv[1])
    out = os.dup(1)
    os.dup2(2, 1)  # what the user's own code prints is no JSON
    with contextlib.redirect_stdout(sys.stderr):
        try:
            said, code = look_at_data(spec, folder).to_dict(), 0
        except UserCodeError as error:
            said, code = {"problems": [vars(problem) for problem in error.problems]}, int(error.exit_code)
    with os.fdopen(out, "w") as stream:
        json.dump(said, stream)
    return code


if __name__ == "__main__":
    sys.exit(main())
