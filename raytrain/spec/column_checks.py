"""Checks the columns that a spec names against those its sources have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from raytrain.errors import Problem
from raytrain.spec.data_spec import DataSpec, Where
from raytrain.spec.suggest import did_you_mean

_LISTED = 12
Named = tuple[str, list[str]]
"""A field that names columns, with the columns."""


def column_problems(data: DataSpec, columns: Mapping[str, tuple[str, ...] | None]) -> list[Problem]:
    """Columns that are not there, or that the spec speaks of in vain.

    Args:
        data: the spec's data part.
        columns: of each source, `train`, and `validation` and `test` where they have their own; None where unknown.
    """
    absent: list[Problem] = []
    for part, known in columns.items():
        if known is None:
            continue
        absent += _absent([*_options(data), *(_splitting(data) if part == "train" else [])], known, part)
        for named, offered in _stages(data, known):
            absent += _absent(named, offered, part)
    return absent or [*_in_vain(data), *_adapted_in_vain(data)]  # a column may be in vain for a mistyped other one


def _options(data: DataSpec) -> Iterator[Named]:
    for name in data.columns:
        yield f"data.columns.{name}", [name]


def _splitting(data: DataSpec) -> Iterator[Named]:
    for part in ("validation", "test"):
        split = getattr(data, part)
        if isinstance(split, Where):
            yield f"data.{part}.where", [split.column]
    made = data.stratify is True and data.label not in data.source_columns
    yield "data.stratify", [data.split_column] if data.split_column and (made or isinstance(data.stratify, str)) else []
    yield "data.group", [data.group] if data.group else []


def _stages(data: DataSpec, known: tuple[str, ...]) -> Iterator[tuple[list[Named], tuple[str, ...]]]:
    """What each step, and at last the model, reads, with the columns there are by then."""
    offered = known
    for index, step in enumerate(data.preprocess):
        if step.python:
            return  # after a step of the user's own, any column may be there
        yield [(f"data.preprocess.{index}.{step.kind}.columns", step.columns)], offered
        offered = tuple(dict.fromkeys([*offered, *step.outputs]))
    weight = [data.weight] if data.weight else []
    yield (
        [("data.features", data.feature_columns), ("data.label", data.label_columns), ("data.weight", weight)],
        offered,
    )


def _in_vain(data: DataSpec) -> Iterator[Problem]:
    """Columns that a step changes, or an option describes, and nothing reads."""
    if any(step.python for step in data.preprocess):
        return
    for name in data.columns:
        if name not in data.source_columns:
            yield _not_in_use(f"data.columns.{name}", name, data.source_columns)
    for index, step in enumerate(data.preprocess):
        later = [name for step in data.preprocess[index + 1 :] for name in step.columns]
        for name in step.outputs:
            if name not in later and name not in data.fed_columns:
                field = "columns" if name in step.columns else "into"
                yield _not_in_use(f"data.preprocess.{index}.{step.kind}.{field}", name, data.fed_columns)


def _adapted_in_vain(data: DataSpec) -> Iterator[Problem]:
    for layer, named in data.adapt.items():
        if data.features is not None and data.input_of(named) is None:
            yield Problem(
                got=f"{named}, which is no input of the model",
                expected="an input's name, or its column(s) as features has them",
                fix=did_you_mean(named, data.feature_columns) if isinstance(named, str) else "",
                field=f"data.adapt.{layer}",
            )


def _not_in_use(field: str, name: str, used: list[str]) -> Problem:
    return Problem(
        got=f"the column `{name}`, which the model does not get",
        expected=f"one of those in use: {_listed(used)}",
        fix=did_you_mean(name, used),
        field=field,
    )


def _absent(named: list[Named], offered: tuple[str, ...], part: str) -> Iterator[Problem]:
    where = "" if part == "train" else f" in data.{part}"
    for field, names in named:
        for name in names:
            if name not in offered:
                what = "columns" if field.startswith("data.columns.") else field.removeprefix("data.")
                yield Problem(
                    got=f"{what} `{name}`, which is no column{where}",
                    expected=f"one of {_listed(offered)}",
                    fix=did_you_mean(name, offered),
                    field=field,
                )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
