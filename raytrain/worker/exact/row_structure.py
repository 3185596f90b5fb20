"""Whether the numbers of a computation belong to single rows: read from its graph, of which nothing is run.

Runs in: every Train worker, once for each loss, metric and layer of the user's, while a step is traced.

What it says holds for any rows, since it follows from the operations alone. It is cautious: what it does not say may be
so all the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from keras import tree

from raytrain.worker.exact import current_step
from raytrain.worker.exact.operation_rules import RULES, facts_after
from raytrain.worker.exact.row_facts import (
    FREE,
    MIXED,
    SIZES,
    UNKNOWN,
    Dims,
    Fact,
    Kind,
    Node,
    dims_of,
    growing_axis,
    rows_along,
)

# Stands in for an axis whose length is not known, divisible by what code may want it to be divisible by.
_LENGTH = 12
# Attributes that name shapes, values and functions, which differ between graphs that are alike.
_OF_ONE_GRAPH = {"value", "shape", "_output_shapes", "container", "shared_name"}


@dataclass(frozen=True, kw_only=True)
class Given:
    """A tensor that a computation is given: its rows, or without rows.

    Attributes:
        shape: without the axis of the rows, where it has rows.
        fact: how it depends on them.
    """

    shape: tuple[int | None, ...]
    dtype: tf.DType
    fact: Fact

    @property
    def has_rows(self) -> bool:
        return self.fact.kind is Kind.ROWS

    def spec(self, rows: int) -> tf.TensorSpec:
        filled = [_LENGTH if size is None else size for size in self.shape]
        return tf.TensorSpec([rows, *filled] if self.has_rows else filled, self.dtype)


def given(tensor: tf.Tensor, *, has_rows: bool = True) -> Given:
    """A tensor's stand-in; of one with rows the first axis is theirs."""
    if has_rows:
        return Given(shape=tuple(tensor.shape[1:]), dtype=tensor.dtype, fact=rows_along(0))
    return Given(shape=tuple(tensor.shape), dtype=tensor.dtype, fact=FREE)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One tensor that a computation makes, with its dimensions where they are known."""

    fact: Fact
    dims: Dims | None

    @property
    def is_row_by_row(self) -> bool:
        """Whether it has something for each row, by that row alone."""
        return self.fact == rows_along(0)

    @property
    def entries_a_row(self) -> int | None:
        """How many entries of its first axis each row has; 0 where they are not the rows', None where it is unknown."""
        if self.dims is None:
            return None
        return self.dims[0][0] // SIZES[0] if growing_axis(self.dims) == 0 else 0

    @property
    def is_of_no_row(self) -> bool:
        """Whether none of its axes is that of the rows."""
        return self.dims is not None and growing_axis(self.dims) is None


@dataclass(kw_only=True)
class _Reading:
    """One tracing: the tensors that were given and made, and what layers within made of what."""

    graph: Any = None
    inputs: list[tf.Tensor] = field(default_factory=list)
    outputs: list[tf.Tensor] = field(default_factory=list)
    layers: list[tuple[list[tf.Tensor], list[tf.Tensor]]] = field(default_factory=list)


_readings: list[_Reading] = []


def is_reading() -> bool:
    """Whether a computation is being traced to read its graph."""
    return bool(_readings)


def note_layer(inputs: Any, outputs: Any) -> None:
    """Takes a layer within a computation for one that works row by row: whether it does is read from its own graph."""
    tensors = ([leaf for leaf in tree.flatten(part) if isinstance(leaf, tf.Tensor)] for part in (inputs, outputs))
    _readings[-1].layers.append((next(tensors), next(tensors)))


def structure_of(
    function: Callable[[list[tf.Tensor]], Sequence[tf.Tensor]], tensors: Sequence[Given]
) -> list[Output] | None:
    """What is known of each tensor that `function` makes of tensors like those given.

    Returns:
        None where the function cannot be traced, or is another one for another number of rows.
    """
    # Another thread has no strategy, no graph and no tape.
    with current_step.over_all_rows(), ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_read, function, tensors).result()


def _read(function: Callable[..., Sequence[tf.Tensor]], tensors: Sequence[Given]) -> list[Output] | None:
    try:
        first, second = (_traced(function, [tensor.spec(rows) for tensor in tensors]) for rows in SIZES)
    except Exception:  # noqa: BLE001  the user's code, which the step itself calls next
        return None
    operations, twins = (reading.graph.get_operations() for reading in (first, second))
    if len(operations) != len(twins) or not all(map(_are_alike, operations, twins)):
        return None
    known = {tensor.name: like.fact for tensor, like in zip(first.inputs, tensors, strict=True)}
    facts = _facts(operations, twins, known, first.layers)
    return [
        Output(fact=facts.get(tensor.name, UNKNOWN), dims=dims_of(tensor, twin))
        for tensor, twin in zip(first.outputs, second.outputs, strict=True)
    ]


def _traced(function: Callable[..., Sequence[tf.Tensor]], specs: list[tf.TensorSpec]) -> _Reading:
    reading = _Reading()

    def traced(*tensors: tf.Tensor) -> None:
        reading.inputs = list(tensors)
        reading.outputs = [tf.convert_to_tensor(tensor) for tensor in function(list(tensors))]

    with _read_by(reading):
        reading.graph = tf.function(traced, autograph=False).get_concrete_function(*specs).graph
    return reading


@contextlib.contextmanager
def _read_by(reading: _Reading) -> Iterator[None]:
    _readings.append(reading)
    try:
        yield
    finally:
        _readings.pop()


def _are_alike(first: tf.Operation, second: tf.Operation) -> bool:
    if first.type != second.type or len(first.outputs) != len(second.outputs):
        return False
    if first.type not in RULES:
        return True
    names = set(first.node_def.attr) | set(second.node_def.attr)
    return all(first.node_def.attr[name] == second.node_def.attr[name] for name in names - _OF_ONE_GRAPH)


def _facts(
    first: Sequence[tf.Operation],
    second: Sequence[tf.Operation],
    known: dict[str, Fact],
    layers: Sequence[tuple[list[tf.Tensor], list[tf.Tensor]]],
) -> dict[str, Fact]:
    """What is known of each tensor, by its name in the first graph."""
    facts: dict[str, Fact] = {}
    made_by = {tensor.name: inputs for inputs, outputs in layers for tensor in outputs}
    for operation, twin in zip(first, second, strict=True):
        if operation.type == "Placeholder":
            found = [known.get(operation.outputs[0].name, FREE)]
        else:
            before = [facts.get(tensor.name, UNKNOWN) for tensor in operation.inputs]
            found = facts_after(Node(first=operation, second=twin, facts=before))
        for tensor, other, fact in zip(operation.outputs, twin.outputs, found, strict=True):
            facts[tensor.name] = fact
            if tensor.name in made_by and tensor.name not in known:
                inputs = [facts.get(source.name, UNKNOWN) for source in made_by[tensor.name]]
                facts[tensor.name] = _after_layer(inputs, dims_of(tensor, other))
    return facts


def _after_layer(inputs: Sequence[Fact], dims: Dims | None) -> Fact:
    kinds = {fact.kind for fact in inputs}
    if kinds <= {Kind.FREE}:
        return FREE
    if Kind.MIXED in kinds:
        return MIXED
    if not kinds <= {Kind.FREE, Kind.ROWS} or {fact.axis for fact in inputs} - {0, None} or dims is None:
        return UNKNOWN
    axis = growing_axis(dims)
    # What is no row's is made of all workers' rows, alike on all.
    return FREE if axis is None else rows_along(0) if axis == 0 else UNKNOWN
