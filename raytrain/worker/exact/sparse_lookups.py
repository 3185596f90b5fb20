"""Which slots of a sparse gradient are of all rows together, and so the same slots on every worker.

Runs in: every Train worker, while a step is traced; in a step that is run eagerly, before its first sparse gradient.

The sparse gradient of a table has a slot for each index that was looked up, and optimizers go by slots: of an index
that comes twice Keras' Adam squares each slot by itself. What was looked up for each row has slots of its own in one
process, too: the workers' slots one after the other. What was looked up for all rows together (the positions of a
sequence) has one in one process: the workers' slots are parts of a sum. The two are told apart by tracing the step for
two numbers of rows: what is of all rows has as many slots for both, at indices that no row's values went into.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import tree

from raytrain.worker.exact import current_step

_ONLY_SIZES = {"Shape", "ShapeN", "Size", "Rank"}
_READS = {"ReadVariableOp", "ResourceGather"}


class Unmeasured(Exception):
    """A step that is being traced has a sparse gradient, and nobody has measured what its lookups are."""


@dataclass(frozen=True, kw_only=True)
class _Lookup:
    """A part of a sparse gradient: its slots, None where unknown, and whether values of rows went into its indices."""

    slots: int | None
    is_of_rows: bool


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a sparse gradient, and whether every worker has the same slots."""

    slices: tf.IndexedSlices
    is_shared: bool


class SparseLookups:
    """What the sparse gradients of a step are made of, in the order in which the step takes them.

    Args:
        trace: traces the step for rows of these specs.
    """

    def __init__(self, trace: Callable[[Any], None]) -> None:
        self._trace = trace
        self._specs: Any = None
        self._rows = 0
        self._measured: tuple[list[list[_Lookup]], list[list[_Lookup]]] | None = None
        self._recorded: list[list[_Lookup]] | None = None
        self._taken = 0

    @contextlib.contextmanager
    def in_step(self, data: Any, *, batch_rows: int) -> Iterator[None]:
        """Marks a step of this function while it is traced or run.

        Args:
            data: its rows.
            batch_rows: how many rows a batch has, the same on every worker.
        """
        self._taken = 0
        if self._recorded is None:
            self._specs, self._rows = tree.map_structure(_spec, data), batch_rows
        _in_step.append(self)
        try:
            yield
        finally:
            _in_step.pop()

    def measure(self) -> None:
        """Traces the step for a batch's rows and for twice as many; one that cannot be has no shared slots."""
        self._measured = self._recorded_for(self._rows), self._recorded_for(2 * self._rows)

    def _recorded_for(self, rows: int) -> list[list[_Lookup]]:
        specs = tree.map_structure(lambda spec: tf.TensorSpec([rows, *spec.shape[1:]], spec.dtype), self._specs)
        self._recorded = []
        try:
            self._trace(specs)
        except Exception:  # noqa: BLE001  the user's code, which need not take any number of rows
            return []
        finally:
            recorded, self._recorded = self._recorded, None
        return recorded

    def parts_of(self, grad: tf.IndexedSlices) -> list[Part]:
        """The next sparse gradient of the step, part by part.

        Raises:
            Unmeasured: the step is being traced, and `measure` is to be called first.
        """
        pieces = _pieces(grad.indices)
        if self._recorded is not None:
            self._recorded.append([_Lookup(slots=piece.shape[0], is_of_rows=_is_of_rows(piece)) for piece in pieces])
            return [Part(slices=grad, is_shared=False)]
        if self._measured is None and not tf.executing_eagerly():
            raise Unmeasured
        if self._measured is None:
            self._measure_apart()
        position, self._taken = self._taken, self._taken + 1
        once, twice = (found[position] if position < len(found) else [] for found in self._measured or ())
        if not once or len(once) != len(twice):
            return [Part(slices=grad, is_shared=False)]
        shared = [_is_shared(*lookups) for lookups in zip(once, twice, strict=True)]
        if tf.executing_eagerly():
            sizes = _sizes(grad, once, twice, self._rows)
        else:
            sizes = [tf.shape(piece)[0] for piece in pieces] if len(pieces) == len(once) else None
        if sizes is None:
            return [Part(slices=grad, is_shared=False)]
        return [
            Part(slices=slices, is_shared=is_shared)
            for slices, is_shared in zip(_split(grad, sizes), shared, strict=True)
        ]

    def _measure_apart(self) -> None:
        """In another thread, which has no strategy's replica, no graph and no tape."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(self.measure).result()


_in_step: list[SparseLookups] = []


def parts_of(grad: tf.IndexedSlices) -> list[Part]:
    """A sparse gradient of the step at hand, part by part.

    Raises:
        Unmeasured: the step's lookups must be measured first.
    """
    return _in_step[-1].parts_of(grad) if _in_step else [Part(slices=grad, is_shared=False)]


def _is_shared(once: _Lookup, twice: _Lookup) -> bool:
    is_fixed = once.slots is not None and once.slots == twice.slots
    return is_fixed and not once.is_of_rows and not twice.is_of_rows


def _pieces(indices: tf.Tensor) -> list[tf.Tensor]:
    """The indices of each lookup, which TensorFlow strings together."""
    if tf.executing_eagerly() or indices.op.type != "ConcatV2":
        return [indices]
    return [piece for part in indices.op.inputs[:-1] for piece in _pieces(part)]


def _sizes(grad: tf.IndexedSlices, once: list[_Lookup], twice: list[_Lookup], rows: int) -> list[int] | None:
    """How many slots each part has, in a step that is run eagerly and has forgotten it."""
    total, own_rows = grad.indices.shape[0], current_step.rows_at_hand()
    if len(once) == 1:
        return [total]
    sizes = []
    for one, two in zip(once, twice, strict=True):
        if one.slots is None or two.slots is None or own_rows is None:
            return None
        each_row, remainder = divmod(two.slots - one.slots, rows)
        if remainder:
            return None
        sizes.append(one.slots + each_row * (own_rows - rows))
    return sizes if sum(sizes) == total else None


def _split(grad: tf.IndexedSlices, sizes: list[Any]) -> list[tf.IndexedSlices]:
    if len(sizes) == 1:
        return [grad]
    values = tf.split(grad.values, sizes, num=len(sizes))
    indices = tf.split(grad.indices, sizes, num=len(sizes))
    return [tf.IndexedSlices(*part, grad.dense_shape) for part in zip(values, indices, strict=True)]


def _is_of_rows(indices: tf.Tensor) -> bool:
    """Whether values that differ between workers may have gone into indices: a step's arguments, or random numbers.

    What variables hold is the same on all workers, and so is how long a row is.
    """
    seen: set[int] = set()
    found = [indices]
    while found:
        tensor = found.pop()
        if isinstance(tensor, tf.__internal__.EagerTensor) or tensor.dtype == tf.resource or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation = tensor.op
        if operation.type == "Placeholder":
            outer = [outside for outside, inside in tensor.graph.captures if inside is tensor]
            if not outer:
                return True
            found += outer
        elif operation.type not in _ONLY_SIZES:
            if operation.op_def.is_stateful and operation.type not in _READS:
                return True
            found += operation.inputs
    return False


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)
