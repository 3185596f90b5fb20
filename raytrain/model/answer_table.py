"""A model's answers as columns of a table: what it says, how sure it is, and the input's columns that go with it.

Runs in: the actors that predict, and the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from raytrain.errors import Problem, UsageError
from raytrain.model.answer_kinds import AnswerKind, Array


def answer_table(
    outputs: Sequence[Array], kinds: Sequence[AnswerKind], *, carried: pa.Table | None, flat: bool, asked: bool
) -> pa.Table:
    """The carried columns, then of each output `prediction` and, of classes, `probability` and `probabilities`.

    Args:
        carried: the input's columns that go with the answers, of as many rows; None of none.
        flat: for files without lists: a column for each element.
        asked: the carried columns were named; else one with an answer's name is left out.

    Raises:
        UsageError: a column that was named has an answer's name; or lists of lists are to go into csv.
    """
    columns: dict[str, Any] = {}
    for output, kind in zip(outputs, kinds, strict=True):
        suffix = "" if len(kinds) == 1 else f"_{kind.name}"
        columns.update(_columns(output, kind, suffix, flat))
    beside = {name: carried.column(name) for name in carried.column_names} if carried is not None else {}
    if asked and (taken := [name for name in beside if name in columns]):
        got = f"column `{taken[0]}`, which is the name of an answer's"
        raise UsageError(Problem(field="--columns", got=got, expected="other columns of the input"))
    return pa.table({**beside, **columns})


def _columns(output: Array, kind: AnswerKind, suffix: str, flat: bool) -> dict[str, Any]:
    prediction = f"prediction{suffix}"
    if kind.kind == "values":
        if output.ndim == 2 and output.shape[1] == 1:
            output = output[:, 0]
        return _elements(prediction, output, list(range(output.shape[-1] if output.ndim > 1 else 0)), flat)
    probabilities = kind.probabilities(output)
    if kind.kind == "binary":
        chosen = (probabilities > 0.5).astype(np.int64)
        return {
            prediction: _named(chosen, kind.class_names(2)),
            f"probability{suffix}": probabilities.astype(np.float32),
        }
    names = kind.class_names(probabilities.shape[-1])
    chosen = probabilities.argmax(axis=-1)
    if probabilities.ndim > 2:  # a class for each pixel or step
        decoded = np.asarray(names, dtype=object)[chosen]
        return {prediction: pa.array(decoded.tolist())} if not flat else _refuse_nested(prediction)
    return {
        prediction: _named(chosen, names),
        f"probability{suffix}": probabilities.max(axis=-1).astype(np.float32),
        **_elements(f"probabilities{suffix}", probabilities.astype(np.float32), names, flat),
    }


def _named(chosen: Array, names: list[Any]) -> pa.Array:
    return pa.array(names).take(pa.array(chosen))


def _elements(name: str, values: Array, names: list[Any], flat: bool) -> dict[str, Any]:
    """One value a row as it is; several as lists, or where files have no lists as a column each."""
    if values.ndim == 1:
        return {name: values}
    if not flat:
        inner: Any = pa.array(np.ascontiguousarray(values).reshape(-1))
        for size in reversed(values.shape[1:]):
            inner = pa.FixedSizeListArray.from_arrays(inner, size)
        return {name: inner.cast(_lists(inner.type))}
    if values.ndim > 2:
        return _refuse_nested(name)
    return {f"{name}_{element}": np.ascontiguousarray(values[:, index]) for index, element in enumerate(names)}


def _lists(kind: pa.DataType) -> pa.DataType:
    """Plain lists, which every reader of parquet knows."""
    return pa.list_(_lists(kind.value_type)) if types.is_fixed_size_list(kind) else kind


def _refuse_nested(name: str) -> dict[str, Any]:
    got = f"`{name}`, which holds lists of lists, in a csv file"
    raise UsageError(Problem(field="--format", got=got, expected="parquet or json"))
