"""Checks the columns that a spec names against those its sources have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raytrain.errors import Problem
from raytrain.spec.data import DataSpec
from raytrain.spec.preprocess import Preprocess
from raytrain.spec.wording import did_you_mean

_LISTED = 12


def column_problems(data: DataSpec, columns: Mapping[str, tuple[str, ...] | None]) -> list[Problem]:
    """Columns that are not there, or that preprocessing would touch in vain.

    Args:
        data: the spec's data part.
        columns: of each source, `train`, and `validation` and `test` where they have their own; None where unknown.
    """
    found: list[Problem] = []
    makes_columns = any(step.python for step in data.preprocess)
    if not makes_columns:
        found += _unused(data)
    for part, known in columns.items():
        if known is None:
            continue
        wanted = dict(_steps_before_python(data)) if makes_columns else {**dict(_used(data)), **dict(_steps(data))}
        for field, name in ((field, name) for field, names in wanted.items() for name in names):
            if name not in known:
                found.append(_absent(field, name, known, part))
    return found


def _used(data: DataSpec) -> Iterator[tuple[str, list[str]]]:
    """Each field that names columns, with the columns."""
    yield "data.features", data.feature_columns
    yield "data.label", data.label_columns
    yield "data.weight", [data.weight] if data.weight else []
    yield "data.stratify", [data.stratify] if isinstance(data.stratify, str) else []


def _steps(data: DataSpec) -> Iterator[tuple[str, list[str]]]:
    for index, step in enumerate(data.preprocess):
        yield f"data.preprocess.{index}.{step.kind}.columns", _columns_of(step)


def _steps_before_python(data: DataSpec) -> Iterator[tuple[str, list[str]]]:
    """After a step of the user's own, any column may be there."""
    for (field, names), step in zip(_steps(data), data.preprocess, strict=True):
        if step.python:
            return
        yield field, names


def _columns_of(step: Preprocess) -> list[str]:
    return [] if step.python else list(step.value.columns)


def _unused(data: DataSpec) -> Iterator[Problem]:
    for field, names in _steps(data):
        for name in names:
            if name not in data.used_columns:
                yield Problem(
                    got=f"the column `{name}`, which the model does not get",
                    expected=f"one of those in use: {_listed(data.used_columns)}",
                    fix=did_you_mean(name, data.used_columns),
                    field=field,
                )


def _absent(field: str, name: str, known: tuple[str, ...], part: str) -> Problem:
    where = "" if part == "train" else f" in data.{part}"
    return Problem(
        got=f"{field.removeprefix('data.')} `{name}`, which is no column{where}",
        expected=f"one of {_listed(known)}",
        fix=did_you_mean(name, known),
        field=field,
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
