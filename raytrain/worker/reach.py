"""Which rows of a batch the numbers of a loss or a metric depend on: found by trying it.

Runs in: every Train worker, once for each function of the user's; the rows are made up, the same on every worker.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import tree

from raytrain.worker import this_step

Array = npt.NDArray[Any]
Call = Callable[[Any, Any], Any]

_ROWS, _FIRST = 5, 2
_LENGTH = 3
_TRIALS, _FEW = 4, 1000
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
    specs = tree.map_structure(_spec, (y_true, y_pred))
    # Another thread has no strategy, no graph and no tape.
    with this_step.over_all_rows(), ThreadPoolExecutor(max_workers=1) as trial:
        return trial.submit(_tried, call, specs).result()


def _tried(call: Call, specs: Any) -> Reach:
    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def function(y_true: Any, y_pred: Any) -> Any:
        with keras.StatelessScope():
            return tf.convert_to_tensor(call(y_true, y_pred))

    try:
        concrete = function.get_concrete_function(*specs)
    except Exception:  # noqa: BLE001  the user's code, which the step itself calls next
        return Reach.ROW
    untried = Reach.BATCH if concrete.structured_outputs.shape.rank == 0 else Reach.ROW
    operations = concrete.graph.get_operations()
    if any(operation.op_def.is_stateful and operation.type not in _HARMLESS for operation in operations):
        return untried
    found = [reach for reach in (_reach_with(concrete, rows) for rows in _made_up(specs)) if reach is not None]
    reaching = [reach for reach in found if reach in (Reach.BATCH, Reach.ROWS)]
    return (reaching or found or [untried])[0]


def _reach_with(concrete: Any, rows: Any) -> Reach | None:
    """What these rows show; None where the function takes no such rows, or gives no numbers."""
    try:
        whole, first, rest = (
            concrete(*tree.map_structure(lambda array, part=part: tf.constant(array[part]), rows)).numpy()
            for part in (slice(None), slice(_FIRST), slice(_FIRST, None))
        )
    except Exception:  # noqa: BLE001  made-up labels need not be ones that the function knows
        return None
    if np.isnan(whole).all():
        return None
    if [len(part) if part.ndim else 0 for part in (whole, first, rest)] == [_ROWS, _FIRST, _ROWS - _FIRST]:
        return Reach.ROW if _alike(whole, np.concatenate([first, rest])) else Reach.ROWS
    if whole.ndim:
        return Reach.BATCH
    return Reach.MEAN if _alike(whole, (_FIRST * first + (_ROWS - _FIRST) * rest) / _ROWS) else Reach.BATCH


def _alike(one: Array, other: Array) -> bool:
    tolerance = 1e-3 if one.dtype.itemsize > 2 else 2e-2
    return np.allclose(one.astype(np.float64), other.astype(np.float64), tolerance, tolerance / 10, equal_nan=True)


def _made_up(specs: Any) -> Iterator[Any]:
    """Labels of 0 and 1 and predictions between, no row like another; then with labels that stand for none."""
    generator = np.random.default_rng(0)
    y_true, y_pred = specs
    numbers = sum(math.prod(_shape(spec)) for spec in tree.flatten(specs))
    trials = _TRIALS if numbers < _FEW else 1  # by chance, few numbers may come out even
    for filler in [None, *_NO_LABEL] * trials:

        def labels(spec: tf.TensorSpec, filler: float | None = filler) -> Array:
            shape = _shape(spec)
            drawn = np.asarray(generator.random(shape) < _levels(generator, shape), np.float64)
            if filler is not None and _holds(spec.dtype, filler):
                drawn[generator.random(shape) < _levels(generator, shape)] = filler
            return drawn.astype(spec.dtype.as_numpy_dtype)

        def predictions(spec: tf.TensorSpec) -> Array:
            shape = _shape(spec)
            drawn = 0.05 + 0.9 * generator.random(shape) * _levels(generator, shape)
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
