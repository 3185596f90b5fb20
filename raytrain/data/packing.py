"""Puts columns together to what Keras is fed: inputs, labels, weights.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from raytrain.data.columns.arrow_to_numpy import Array
from raytrain.data.columns.rounding import check_exact
from raytrain.data.packed import Arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.data_spec import DataSpec

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_LOOKED_AT = 100


def pack(columns: Mapping[str, Array], data: DataSpec) -> Arrays:
    """(features,), (features, labels) or (features, labels, weights).

    Raises:
        UserCodeError: a column is missing, is of lists of unequal length, or is text where only numbers can be.
    """
    for name in data.fed_columns:
        _check_there(columns, name)
    features = _features(columns, data)
    if data.label is None:
        return (features,)
    for name in data.label_columns:
        _check_label(columns[name], name)
    label = columns[data.label] if isinstance(data.label, str) else {k: columns[c] for k, c in data.label.items()}
    if data.weight is None:
        return features, label
    weight = columns[data.weight]
    if weight.dtype == object:
        shown = ", ".join(map(str, weight[:3]))
        raise UserCodeError(
            Problem(field="data.weight", got=f"text in column `{data.weight}` ({shown})", expected="numbers")
        )
    return features, label, weight.astype(np.float32)


def _features(columns: Mapping[str, Array], data: DataSpec) -> Any:
    if isinstance(data.features, dict):
        return {name: _one_input(columns, group) for name, group in data.features.items()}
    assert data.features is not None
    return _one_input(columns, data.features)


def _one_input(columns: Mapping[str, Array], group: str | list[str]) -> Array:
    """One column as it is, or a list of them side by side (rows, elements), in the order given."""
    return columns[group] if isinstance(group, str) else side_by_side(columns, group, field="data.features")


def side_by_side(columns: Mapping[str, Array], names: list[str], *, field: str) -> Array:
    """Columns of numbers as one (rows, elements), in the order given."""
    for name in names:
        if columns[name].dtype == object:
            raise UserCodeError(
                Problem(
                    field=field,
                    got=f"text column `{name}` among columns that form one input",
                    expected="numbers",
                    fix=_text_fix(name, columns[name]),
                )
            )
    parts = [columns[name].reshape(len(columns[name]), -1) for name in names]
    floats = [part.dtype for part in parts if part.dtype.kind == "f"]
    if not floats:
        return np.concatenate(parts, axis=1)
    kind = np.result_type(*floats)  # numpy has whole numbers and float32 meet in float64
    for name, part in zip(names, parts, strict=True):
        if part.dtype.kind in "iu":
            check_exact(part, name, kind)
    return np.concatenate(parts, axis=1, dtype=kind)


def _text_fix(name: str, column: Array) -> str:
    if all(isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) for cell in column[:_LOOKED_AT].ravel()):
        return 'for numbers such as 1,5, csv: {path: …, decimal: ","}'
    own, numbered = f"features: {{{name}: {name}, …}}", f"preprocess: [{{encode: {{columns: [{name}]}}}}]"
    return f"give it an input of its own, {own}, or number it: {numbered}"


def _check_there(columns: Mapping[str, Array], name: str) -> None:
    if name not in columns:
        raise UserCodeError(Problem(field="data", got=f"column `{name}`", expected=f"one of {', '.join(columns)}"))
    column = columns[name]
    if column.dtype == object and any(isinstance(cell, list) for cell in column[:1]):
        raise UserCodeError(
            Problem(
                field="data",
                got=f"lists of any length in column `{name}`",
                expected="lists of one length",
                fix=f"end with preprocess: [{{pad: {{columns: [{name}], length: 32}}}}]",
            )
        )


def _check_label(column: Array, name: str) -> None:
    if column.dtype == object:
        classes = sorted(set(map(str, column.ravel())))
        shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
        raise UserCodeError(
            Problem(
                field="data.label",
                got=f"text in column `{name}` ({shown})",
                expected="numbers: 0, 1, 2, … for classes",
                fix=f"number the classes: preprocess: [{{encode: {{columns: [{name}]}}}}]",
            )
        )
