"""The rows that `raytrain.fit` was given, as arrays in the form in which Keras would feed them.

Runs in: the process that calls `raytrain.fit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

from raytrain.data.array_folder import Narrowed
from raytrain.data.packed import leaves
from raytrain.errors import Problem, UsageError

_NAMES = ("x", "y", "w")
_SPARSE = ("SparseTensor", "RaggedTensor", "csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One split.

    Attributes:
        parts: `x`, and `y` and `w` where there are any: an array (rows, …), or a dict or tuple of arrays.
        batch_size: of the dataset that the rows came from; None where they came as arrays.
    """

    parts: Mapping[str, Any]
    batch_size: int | None = None

    @property
    def rows(self) -> int:
        return len(leaves(dict(self.parts))[0])

    def example(self) -> tuple[Any, ...]:
        """The first row of each part, as a batch of tensors."""
        rows = self.cut(0, 1)
        return tuple(_mapped(lambda array: tf.convert_to_tensor(_plain(array)), part) for part in rows.parts.values())

    def cut(self, start: int, stop: int) -> Rows:
        def part_of(array: Any) -> Any:
            if isinstance(array, Narrowed):
                return Narrowed(array.array[start:stop], array.dtype)
            return array[start:stop]

        return Rows(parts={name: _mapped(part_of, part) for name, part in self.parts.items()})


def rows_given(x: Any, y: Any, sample_weight: Any, argument: str = "x") -> Rows:
    """The rows of arrays, or of a dataset of batches.

    Args:
        argument: what the user calls them, for the error message.

    Raises:
        UsageError: no worker could be fed from it.
    """
    if isinstance(x, tf.data.Dataset):
        if y is not None or sample_weight is not None:
            raise _refused(
                f"y or sample_weight beside a dataset as {argument}", "a dataset of (x, y) or (x, y, weight)"
            )
        return _of_dataset(x, argument)
    _refuse_streams(x, argument)
    if x is None:
        raise _refused(f"no {argument}", "arrays, frames, dicts of those, or a tf.data.Dataset")
    if sample_weight is not None and y is None:
        raise _refused("sample_weight without y", "labels to weigh")
    if sample_weight is not None and isinstance(y, dict | list | tuple) and not _is_nested(sample_weight):
        sample_weight = _mapped(lambda _: sample_weight, y)
    given = {"x": x, "y": y, "w": sample_weight}
    parts = {name: _arrays(part, name, argument) for name, part in given.items() if part is not None}
    counts = sorted({len(array) for array in leaves(parts)})
    if len(counts) != 1:
        raise _refused(f"arrays of {', '.join(map(str, counts))} rows as {argument}", "as many rows in each")
    return Rows(parts=parts)


def validation_given(data: Any) -> Rows:
    """The rows of `validation_data`: `(x, y)`, `(x, y, sample_weight)`, or a dataset of batches."""
    if isinstance(data, tf.data.Dataset):
        return rows_given(data, None, None, "validation_data")
    _refuse_streams(data, "validation_data")
    if not isinstance(data, tuple | list) or not 1 <= len(data) <= 3:
        raise _refused(f"validation_data, a {type(data).__name__}", "(x, y), (x, y, sample_weight), or a dataset")
    x, y, weight = (*data, None, None)[:3]
    return rows_given(x, y, weight, "validation_data")


def last_rows(rows: Rows, share: float) -> tuple[Rows, Rows]:
    """What is left to train on, and the last rows, for validation: as `Model.fit` splits them."""
    if rows.batch_size is not None:
        raise _refused("validation_split beside a dataset", "arrays, or validation_data")
    if not 0 < share < 1:
        raise _refused(f"validation_split={share}", "a part of the rows, between 0 and 1")
    at = math.floor(rows.rows * (1.0 - share))
    if at in (0, rows.rows):
        raise _refused(f"validation_split={share} of {rows.rows} rows", "at least one row on either side")
    return rows.cut(0, at), rows.cut(at, rows.rows)


def _of_dataset(dataset: tf.data.Dataset, argument: str) -> Rows:
    """Its rows in the order of one pass; every epoch has that order."""
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise _refused(f"a dataset without an end as {argument}", "one pass of rows", "leave repeat() out")
    batches = [batch if isinstance(batch, tuple) else (batch,) for batch in dataset.as_numpy_iterator()]
    if not batches:
        raise _refused(f"an empty dataset as {argument}", "at least one batch")
    if any(not getattr(leaf, "ndim", 0) for leaf in leaves(batches[0])):
        raise _refused(f"a dataset of single rows as {argument}", "a dataset of batches", "dataset.batch(32)")
    sizes = [len(leaves(batch)[0]) for batch in batches]
    if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise _refused(f"batches of {sorted(set(sizes))} rows as {argument}", "batches of one size but for the last")
    joined = _joined([_arrays(batch, "x", argument) for batch in batches])
    return Rows(parts=dict(zip(_NAMES, joined, strict=False)), batch_size=sizes[0])


def _joined(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple):
        return tuple(_joined(items) for items in zip(*parts, strict=True))
    return np.concatenate([_plain(part) for part in parts])


def _arrays(value: Any, name: str, argument: str) -> Any:
    if isinstance(value, dict):
        return {key: _arrays(item, name, argument) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_arrays(item, name, argument) for item in value)
    return _array(value, f"{argument}, its {name}" if argument != "x" else name)


def _array(value: Any, called: str) -> Any:
    """As Keras would convert it: fractions of other sizes become `keras.config.floatx()`."""
    kind = type(value).__name__
    if kind in _SPARSE:
        raise _refused(f"{called}, a {kind}", "dense arrays", "convert it, or write a job whose preprocess step does")
    if kind == "Series" and hasattr(value, "to_numpy"):
        value = value.to_numpy()[:, None]
    elif not hasattr(value, "__array__"):
        raise _refused(f"{called}, a {kind}", "an array, a frame, a tensor, or a dict, list or tuple of those")
    array = np.asarray(value)
    if array.dtype == object:
        if not all(isinstance(cell, str) for cell in array.ravel()):
            raise _refused(f"{called}, an array of objects", "numbers or texts", "convert its columns first")
        array = array.astype(np.str_)
    if array.ndim == 0:
        raise _refused(f"{called}, a single number", "an array of rows")
    is_float = array.dtype.kind == "f" or hasattr(ml_dtypes, array.dtype.name)
    return Narrowed(array, keras.config.floatx()) if is_float and array.dtype != keras.config.floatx() else array


def _refuse_streams(value: Any, argument: str) -> None:
    """What is read once, or by another library, cannot be handed to several workers."""
    kind = type(value)
    named = f"{kind.__module__}.{kind.__qualname__}"
    is_loader = isinstance(value, keras.utils.PyDataset) or "DataLoader" in kind.__name__
    if is_loader or (hasattr(value, "__next__") and hasattr(value, "__iter__")) or callable(value):
        way = (
            "np.stack its rows, tf.data.Dataset.from_generator(…).batch(32), or a job with data: {python: data.py:load}"
        )
        raise _refused(f"a {named} as {argument}", "rows that every worker can read again", way)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)


def _mapped(function: Callable[[Any], Any], part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _mapped(function, item) for name, item in part.items()}
    if isinstance(part, list | tuple):
        return tuple(_mapped(function, item) for item in part)
    return function(part)


def _plain(array: Any) -> Any:
    return np.asarray(array.array, array.dtype) if isinstance(array, Narrowed) else array


def _refused(got: str, expected: str, fix: str = "") -> UsageError:
    return UsageError(Problem(got=got, expected=expected, fix=fix))
