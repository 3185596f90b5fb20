"""What is known of a tensor in a graph: how it depends on the rows that the graph is given.

Runs in: every Train worker, while a step is traced.

A graph is traced twice, for two numbers of rows. What differs between the two depends on that number: an axis that
grows with it is one of rows, and a constant that differs is no constant.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

# Divisible by what code may want a batch to be divisible by.
SIZES = (24, 40)

Dims = tuple[tuple[int, ...], tuple[int, ...]]


class Kind(enum.Enum):
    """How a tensor depends on the rows.

    `MEAN` and `SUM` are those of numbers of which each is of one row, or come of them by steps that are linear; `STATE`
    is a metric's state with sums added to it; `MIXED` is known to depend on several rows in another way, or on their
    number; of `UNKNOWN` nothing is known.
    """

    FREE = enum.auto()
    SIZE = enum.auto()
    ROWS = enum.auto()
    MEAN = enum.auto()
    SUM = enum.auto()
    STATE = enum.auto()
    MIXED = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What is known of a tensor.

    Attributes:
        axis: that of the rows, in `ROWS`: one behind the other, or some entries for each.
        state: which, in `STATE`.
    """

    kind: Kind
    axis: int | None = None
    state: int | None = None


FREE, SIZE, MEAN, SUM, MIXED, UNKNOWN = (
    Fact(kind=kind) for kind in (Kind.FREE, Kind.SIZE, Kind.MEAN, Kind.SUM, Kind.MIXED, Kind.UNKNOWN)
)


def rows_along(axis: int) -> Fact:
    return Fact(kind=Kind.ROWS, axis=axis)


@dataclass(frozen=True, kw_only=True)
class Node:
    """An operation, as it stands in both graphs, and what is known of its inputs."""

    first: tf.Operation
    second: tf.Operation
    facts: Sequence[Fact]

    @property
    def kinds(self) -> set[Kind]:
        return {fact.kind for fact in self.facts}

    def attribute(self, name: str) -> Any:
        return self.first.get_attr(name)

    def input_dims(self, index: int) -> Dims | None:
        return dims_of(self.first.inputs[index], self.second.inputs[index])

    def output_dims(self, index: int = 0) -> Dims | None:
        return dims_of(self.first.outputs[index], self.second.outputs[index])

    def input_rank(self, index: int) -> int:
        return int(self.first.inputs[index].shape.rank)

    def output_rank(self, index: int = 0) -> int:
        return int(self.first.outputs[index].shape.rank)

    def constant(self, index: int) -> Any:
        """An input's value where it is the same in both graphs and known; else None."""
        values = self._values(index)
        return values[0] if values is not None and np.array_equal(*values) else None

    def is_number_of_rows(self, index: int) -> bool:
        """Whether an input is proportional to how many rows there are."""
        values = self._values(index)
        return values is not None and is_proportional(*values)

    def _values(self, index: int) -> tuple[Any, Any] | None:
        values = [static_value(operation.inputs[index]) for operation in (self.first, self.second)]
        return None if any(value is None for value in values) else (values[0], values[1])


# What shapes are computed with, beyond what TensorFlow's own `get_static_value` can do.
_FOLDS: dict[str, Callable[..., Any]] = {
    "AddV2": np.add,
    "Cast": np.asarray,  # to what dtype is seen to by the caller
    "ConcatV2": lambda *values: np.concatenate(values[:-1], int(values[-1])),
    "FloorDiv": np.floor_divide,
    "Mul": np.multiply,
    "Pack": lambda *values: np.asarray(values).reshape(len(values)),  # of scalars, or it raises
    "Prod": lambda value, axes: np.prod(value, axis=tuple(np.atleast_1d(axes))),
    "Range": np.arange,
    "StridedSlice": lambda value, begin, end, strides: value[begin[0]],  # one entry, which the caller sees to
    "Sub": np.subtract,
}


def static_value(tensor: tf.Tensor) -> Any:
    """A tensor's value where it follows from constants; else None."""
    value = tf.get_static_value(tensor)
    if value is not None or tensor.op.type not in _FOLDS:
        return value
    values = [static_value(source) for source in tensor.op.inputs]
    if any(value is None for value in values):
        return None
    if tensor.op.type == "StridedSlice" and not (tensor.op.get_attr("shrink_axis_mask") == 1 == len(values[1])):
        return None
    return np.asarray(_FOLDS[tensor.op.type](*values), tensor.dtype.as_numpy_dtype)


def dims_of(first: tf.Tensor, second: tf.Tensor) -> Dims | None:
    """A tensor's dimensions in both graphs; None where they are not all known."""
    if not (first.shape.is_fully_defined() and second.shape.is_fully_defined()):
        return None
    return tuple(first.shape), tuple(second.shape)


def growing_axis(dims: Dims | None) -> int | None:
    """The one axis that grows with the number of rows, if there is one and the others stay."""
    if dims is None or len(dims[0]) != len(dims[1]):
        return None
    differing = [axis for axis, (one, other) in enumerate(zip(*dims, strict=True)) if one != other]
    if len(differing) != 1 or not is_proportional(dims[0][differing[0]], dims[1][differing[0]]):
        return None
    return differing[0]


def is_proportional(first: Any, second: Any) -> bool:
    """Whether numbers of the two graphs are as the numbers of rows are."""
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return bool(one.shape == other.shape and np.allclose(one * SIZES[1], other * SIZES[0]) and np.all(one != other))
