"""The references `FILE.py:NAME` in a job spec: where each stands, and who follows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import Loc
from raytrain.spec.source_kinds import Source
from raytrain.spec.value_types import is_python_ref

NOT_CALLED = -1

# The file that raytrain.fit writes into the folder of its job: no line of it is the user's.
LIVE_MODEL_FILE = "live_model.py"


def worker_refs(spec: JobSpec) -> Iterator[str]:
    """Those that every worker follows before it trains: of the model, its compilation and the callbacks."""
    return (ref for loc, ref, _ in python_refs(spec) if loc[0] in ("model", "compile", "callbacks"))


def python_refs(spec: JobSpec) -> Iterator[tuple[Loc, str, int]]:
    """Every reference into the user's Python: its place, the reference, and how many arguments it is called with.

    -1 arguments: it is not called, or with arguments that only Keras knows.
    """
    data = spec.data
    if spec.model.python:
        yield ("model",), spec.model.python, NOT_CALLED
    if spec.compile and spec.compile.python:
        yield ("compile",), spec.compile.python, 1
    elif spec.compile:
        for name in ("optimizer", "loss", "metrics", "weighted_metrics"):
            yield from _refs_within(getattr(spec.compile, name), ("compile", name))
    if isinstance(spec.callbacks, str):
        yield ("callbacks",), spec.callbacks, 0
    for part in ("train", "validation", "test"):
        source = getattr(data, part)
        if isinstance(source, Source) and source.code is not None:
            yield ("data", part, *(("sql", "connect") if source.sql else ("python",))), source.code, 0
    for index, step in enumerate(data.preprocess):
        if step.python:
            yield ("data", "preprocess", index, "python"), step.python, 1


def _refs_within(value: Any, loc: Loc) -> Iterator[tuple[Loc, str, int]]:
    if is_python_ref(value):
        yield loc, value, NOT_CALLED
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _refs_within(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _refs_within(item, (*loc, index))
