"""Which rows of a batch the numbers of a loss or a metric depend on: found by trying it.

Runs in: every Train worker, once for each function of the user's; the rows are made up, the same on every worker.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import tree

from raytrain.worker.exact import current_step

Array = npt.NDArray[Any]
Call = Callable[[Any, Any], Any]

_ROWS, _FIRST = 5, 2
_LENGTH = 3
_TRIALS, _FEW, _MOST = 4, 1000, 20
# What labels are filled with where there is none, in the conventions of the field.
_NO_LABEL = (-1, -100, 255, np.nan)
_HARMLESS = {"ReadVariableOp", "Placeholder", "Assert"}


class Reach(enum.Enum):
    """What a function makes of a batch: something for each row, by that row alone or by others too, or for them all."""

    ROW = enum.auto()
    ROWS = enum.auto()
    MEAN = enum.auto()
    BATCH = enum.auto()


def reach_of(call: Call, y_true: Any, y_pred: Any) -> Reach:
    """How far `call(y_true, y_pred)` reaches, in one process.

    Without a trial that says otherwise, a single number is taken for one of the whole batch, which is right whatever it
    is, and anything else for what belongs to its row.

    Args:
        y_true: tensors, (rows, …).
        y_pred: likewise.
    """

    def function(y_true: Any, y_pred: Any) -> Any:
        with keras.StatelessScope():
            return tf.convert_to_tensor(call(y_true, y_pred))

    rank, runs = _tried(function, (y_true, y_pred))
    found = [_reach_in(run) for run in runs if not np.isnan(run.whole).all()]
    reaching = [reach for reach in found if reach in (Reach.BATCH, Reach.ROWS)]
    untried = Reach.BATCH if rank == 0 else Reach.ROW
    return (reaching or found or [untried])[0]


def adds_up(metric: keras.metrics.Metric, y_true: Any, others: Any, pack: Callable[[Any, Any], Any]) -> bool:
    """Whether a metric's state after some rows and others is the sum of what it is after each; so it is if untried.

    Args:
        y_true: tensors, (rows, …).
        others: likewise.
        pack: makes the arguments of `update_state` of the two, as (args, kwargs).
    """

    def function(y_true: Any, others: Any) -> Any:
        args, kwargs = pack(y_true, others)
        began = metric.stateless_reset_state()
        ended = metric.stateless_update_state(began, *args, **kwargs)
        changes = [
            tf.cast(after, tf.float64) - tf.cast(before, tf.float64) for before, after in zip(began, ended, strict=True)
        ]
        return tf.concat([tf.reshape(change, [-1]) for change in changes], axis=0)

    _, runs = _tried(function, (y_true, others))
    return all(_alike(run.whole, run.first + run.rest) for run in runs)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What a function gave for all of some rows, for the first of them and for the rest."""

    whole: Array
    first: Array
    rest: Array


def _tried(function: Callable[..., Any], tensors: Any) -> tuple[int | None, list[_Run]]:
    """The rank of what a function gives, and what it gave for made-up rows: nothing where it cannot be tried."""
    specs = tree.map_structure(_spec, tensors)
    # Another thread has no strategy, no graph and no tape.
    with current_step.over_all_rows(), ThreadPoolExecutor(max_workers=1) as trial:
        return trial.submit(_runs, function, specs).result()


def _runs(function: Callable[..., Any], specs: Any) -> tuple[int | None, list[_Run]]:
    try:
        traced = _traced(function, specs)
    except Exception:  # noqa: BLE001  the user's code, which the step itself calls next
        return None, []
    whole = traced[_ROWS]
    rank, operations = whole.structured_outputs.shape.rank, whole.graph.get_operations()
    if any(operation.op_def.is_stateful and operation.type not in _HARMLESS for operation in operations):
        return rank, []
    rows = _made_up(specs, [*_NO_LABEL, *_compared_with(operations)])
    return rank, [run for run in (_run(traced, made_up) for made_up in rows) if run is not None]


def _traced(function: Callable[..., Any], specs: Any) -> dict[int, Any]:
    """The function for each number of rows that is tried: for any, or for one that it must know beforehand."""
    traced = tf.function(function, autograph=False)
    sizes = (_ROWS, _FIRST, _ROWS - _FIRST)
    try:
        return dict.fromkeys(sizes, traced.get_concrete_function(*specs))
    except Exception:  # noqa: BLE001  what it raises for any number it may not for one
        return {size: traced.get_concrete_function(*tree.map_structure(_of_rows(size), specs)) for size in sizes}


def _of_rows(size: int) -> Callable[[tf.TensorSpec], tf.TensorSpec]:
    return lambda spec: tf.TensorSpec([size, *spec.shape[1:]], spec.dtype)


def _run(traced: Mapping[int, Any], rows: Any) -> _Run | None:
    def given(part: slice) -> Array:
        concrete = traced[len(range(_ROWS)[part])]
        return concrete(*tree.map_structure(lambda array: tf.constant(array[part]), rows)).numpy()  # type: ignore[no-any-return]

    try:
        return _Run(whole=given(slice(None)), first=given(slice(_FIRST)), rest=given(slice(_FIRST, None)))
    except Exception:  # noqa: BLE001  made-up labels need not be ones that the function knows
        return None


def _reach_in(run: _Run) -> Reach:
    parts = (run.whole, run.first, run.rest)
    if [len(part) if part.ndim else 0 for part in parts] == [_ROWS, _FIRST, _ROWS - _FIRST]:
        return Reach.ROW if _alike(run.whole, np.concatenate([run.first, run.rest])) else Reach.ROWS
    if run.whole.ndim:
        return Reach.BATCH
    mean = (_FIRST * run.first + (_ROWS - _FIRST) * run.rest) / _ROWS
    return Reach.MEAN if _alike(run.whole, mean) else Reach.BATCH


def _alike(one: Array, other: Array) -> bool:
    tolerance = 1e-3 if one.dtype.itemsize > 2 else 2e-2
    return np.allclose(one.astype(np.float64), other.astype(np.float64), tolerance, tolerance / 10, equal_nan=True)


def _compared_with(operations: list[Any]) -> list[float]:
    """The numbers that the function holds: a label that stands for none is among them."""
    held = (tf.make_ndarray(operation.get_attr("value")) for operation in operations if operation.type == "Const")
    numbers = {float(number) for number in held if number.ndim == 0 and number.dtype.kind in "iuf"}
    return sorted(numbers - {0.0, 1.0, *_NO_LABEL})[:_MOST]


def _made_up(specs: Any, fillers: list[float]) -> Iterator[Any]:
    """Labels of 0 and 1 and predictions between, no row like another; then with labels that stand for none."""
    generator = np.random.default_rng(0)
    y_true, y_pred = specs
    numbers = sum(math.prod(_shape(spec)) for spec in tree.flatten(specs))
    trials = _TRIALS if numbers < _FEW else 1  # by chance, few numbers may come out even
    for filler in [None, *fillers] * trials:

        def labels(spec: tf.TensorSpec, filler: float | None = filler) -> Array:
            shape = _shape(spec)
            drawn = np.asarray(generator.random(shape) < _levels(generator, shape), np.float64)
            if filler is not None and _holds(spec.dtype, filler):
                drawn[generator.random(shape) < _levels(generator, shape)] = filler
            return drawn.astype(spec.dtype.as_numpy_dtype)

        def predictions(spec: tf.TensorSpec) -> Array:
            shape = _shape(spec)
            drawn = 0.01 + 0.98 * generator.random(shape) ** (3 * _levels(generator, shape))
            return drawn.astype(spec.dtype.as_numpy_dtype) if spec.dtype.is_floating else labels(spec)

        yield tree.map_structure(labels, y_true), tree.map_structure(predictions, y_pred)


def _levels(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """How much each row has of something, (rows, 1, …): rows that are alike would hide a quotient of sums."""
    return generator.permutation(np.linspace(0.1, 0.9, _ROWS)).reshape(-1, *[1] * (len(shape) - 1))


def _holds(dtype: tf.DType, value: float) -> bool:
    return bool(dtype.is_floating or (dtype.is_integer and dtype.min <= value <= dtype.max))


def _shape(spec: tf.TensorSpec) -> tuple[int, ...]:
    return (_ROWS, *(_LENGTH if size is None else size for size in spec.shape[1:]))


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
