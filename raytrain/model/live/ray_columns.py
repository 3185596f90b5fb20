"""A Ray Dataset that `raytrain.fit` was given, as the arrays that Keras would be.

Runs in: the process that calls `raytrain.fit`, which is connected to the dataset's cluster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from raytrain.errors import Problem, UsageError

_BATCH_ROWS = 65_536


def is_ray_dataset(value: Any) -> bool:
    return type(value).__module__.startswith("ray.data") and hasattr(value, "select_columns")


def columns_of(
    dataset: Any, y: Any, sample_weight: Any, model: keras.Model, argument: str = "x"
) -> tuple[Any, Any, Any]:
    """`x`, `y` and the weights of a dataset whose columns the latter two are named by.

    The other columns are `x`: by name where the model's inputs have the columns' names, else the only one; or several
    of one number a row side by side, in the dataset's order, as a frame's are.

    Args:
        y: the name of a column, or a dict, list or tuple of names.
        sample_weight: likewise.
        argument: what the user calls the dataset, for the error message.

    Raises:
        UsageError: no rows, no such column, or columns that are no input of the model.
    """
    schema = dataset.schema()
    names: list[str] = list(schema.names) if schema is not None else []
    if not names:
        raise _empty(argument)
    named = {name for part in (y, sample_weight) if part is not None for name in _names(part, names, argument)}
    inputs = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    left = [name for name in names if name not in named]
    by_name = bool(inputs) and set(inputs) <= set(left)
    read = [name for name in names if name in named or name in (inputs if by_name else left)]
    columns = _read(dataset, read, argument)
    if by_name:
        x: Any = {name: columns[name] for name in inputs}
    elif len(left) == 1 or len(inputs) == 1:
        x = _side_by_side({name: columns[name] for name in left}, argument)
    else:
        x = {name: columns[name] for name in left}
    return x, _picked(y, columns), _picked(sample_weight, columns)


def _read(dataset: Any, names: Sequence[str], argument: str) -> dict[str, Any]:
    """In the dataset's own order."""
    with _in_order(dataset):
        batches = list(dataset.select_columns(list(names)).iter_batches(batch_format="numpy", batch_size=_BATCH_ROWS))
    if not batches:
        raise _empty(argument)
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


@contextlib.contextmanager
def _in_order(dataset: Any) -> Iterator[None]:
    options = dataset.context.execution_options
    before, options.preserve_order = options.preserve_order, True
    try:
        yield
    finally:
        options.preserve_order = before


def _side_by_side(columns: Mapping[str, Any], argument: str) -> Any:
    if not columns:
        raise _refused(f"{argument}, a Ray Dataset without a column beside y", "at least one feature")
    if len(columns) == 1:
        return next(iter(columns.values()))
    for name, column in columns.items():
        if column.ndim > 1 or column.dtype.kind not in "fiub":
            raise _refused(
                f"{argument}, whose column `{name}` is {column.dtype} of shape {(len(column), *column.shape[1:])}",
                "one number a row, or inputs of the model that have the columns' names",
                "dataset.select_columns([…]), or a model of several inputs",
            )
    return np.stack(list(columns.values()), axis=1)


def _names(part: Any, known: Sequence[str], argument: str) -> list[str]:
    """Those of one or several columns, each of which is there."""
    if isinstance(part, str):
        names = [part]
    elif isinstance(part, Mapping | list | tuple):
        items = part.values() if isinstance(part, Mapping) else part
        names = [name for item in items for name in _names(item, known, argument)]
    else:
        raise _refused(
            f"a {type(part).__name__} beside {argument}, a Ray Dataset", "the names of its columns", 'y="label"'
        )
    for name in names:
        if name not in known:
            raise _refused(f"column `{name}` of {argument}", f"one of {', '.join(known)}")
    return names


def _picked(part: Any, columns: Mapping[str, Any]) -> Any:
    if isinstance(part, str):
        return columns[part]
    if isinstance(part, Mapping):
        return {key: _picked(item, columns) for key, item in part.items()}
    return None if part is None else [_picked(item, columns) for item in part]


def _empty(argument: str) -> UsageError:
    return _refused(f"{argument}, a Ray Dataset of no rows", "at least one row")


def _refused(got: str, expected: str, fix: str = "") -> UsageError:
    return UsageError(Problem(got=got, expected=expected, fix=fix))
