"""How operations that move, cut or join axes pass on the dependence on rows.

Runs in: every Train worker, while a step is traced; `raytrain.worker.exact.operation_rules` says of which operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raytrain.worker.exact.row_facts import MEAN, MIXED, SUM, UNKNOWN, Dims, Fact, Kind, Node, growing_axis, rows_along


def find(node: Node) -> Fact:
    """ArgMax and the like, which take one axis away."""
    [fact, _], axis = node.facts, node.constant(1)
    if fact.kind is not Kind.ROWS or axis is None:
        return UNKNOWN
    gone = int(axis) % node.input_rank(0)
    return MIXED if gone == fact.axis else rows_along(without(fact, {gone}, keeps=False))


def run_along(node: Node) -> Fact:
    """Cumulated sums, reversed order: along an axis that is not the rows'."""
    [fact, _], axes = node.facts, node.constant(1)
    if fact.kind is not Kind.ROWS or axes is None:
        return UNKNOWN
    return MIXED if fact.axis in {int(axis) % node.input_rank(0) for axis in np.atleast_1d(axes)} else fact


def reshape(node: Node) -> Fact:
    fact = node.facts[0]
    if fact.kind in (Kind.MEAN, Kind.SUM, Kind.STATE):
        return fact
    before, after = node.input_dims(0), node.output_dims()
    if before is None or after is None or fact.kind is not Kind.ROWS:
        return UNKNOWN
    axis = growing_axis(after)
    return rows_along(axis) if axis is not None and _ahead(before, fact.axis) == _ahead(after, axis) else MIXED


def _ahead(dims: Dims, axis: int | None) -> int:
    """How many entries the axes before one have together: rows stay in their order as long as it does not change."""
    return math.prod(dims[0][:axis])


def transpose(node: Node) -> Fact:
    fact, order = node.facts[0], node.constant(1)
    if fact.kind in (Kind.MEAN, Kind.SUM):
        return fact
    return UNKNOWN if order is None or fact.axis is None else rows_along(list(order).index(fact.axis))


def concatenate(node: Node) -> Fact:
    axis = node.constant(len(node.facts) - 1)
    return UNKNOWN if axis is None else _joined(node, node.facts[:-1], int(axis) % node.output_rank(), new=0)


def pack(node: Node) -> Fact:
    return _joined(node, node.facts, int(node.attribute("axis")) % node.output_rank(), new=1)


def _joined(node: Node, facts: Sequence[Fact], along: int, *, new: int) -> Fact:
    kinds = {fact.kind for fact in facts}
    if kinds <= {Kind.MEAN, Kind.FREE}:
        return MEAN
    if kinds <= {Kind.SUM}:
        return SUM
    axes = {fact.axis for fact in facts}
    if kinds != {Kind.ROWS} or len(axes) != 1:
        return UNKNOWN
    axis = axes.pop()
    assert axis is not None
    if not new and axis == along:
        return MIXED
    return rows_along(axis + (new if along <= axis else 0))


def split(node: Node) -> Fact:
    """Split and SplitV name the axis in one of their inputs, Unpack in an attribute."""
    places = {"Split": (1, 0), "SplitV": (0, 2), "Unpack": (0, None)}
    rows, place = places[node.first.type]
    fact, axis = node.facts[rows], node.attribute("axis") if place is None else node.constant(place)
    if fact.axis is None or axis is None:
        return UNKNOWN
    along = int(axis) % node.input_rank(rows)
    if along == fact.axis:
        return MIXED
    return rows_along(without(fact, {along}, keeps=place is not None))


def slice_with_strides(node: Node) -> Fact:
    """`x[:, 0]` and the like: the rows' axis must be taken whole and in its order."""
    fact, strides = node.facts[0], node.constant(3)
    if fact.axis is None or strides is None:
        return UNKNOWN
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    begin, end, ellipsis, new_axis, shrink = (node.attribute(f"{name}_mask") for name in names)
    given = len(strides)
    named = sum(not (1 << place) & (new_axis | ellipsis) for place in range(given))
    at, out = 0, 0
    for place in range(given):
        bit = 1 << place
        if bit & ellipsis:
            covered = node.input_rank(0) - named
            if at <= fact.axis < at + covered:
                return rows_along(out + fact.axis - at)
            at, out = at + covered, out + covered
        elif bit & new_axis:
            out += 1
        else:
            if at == fact.axis:
                is_whole = bit & begin and bit & end and strides[place] == 1 and not bit & shrink
                return rows_along(out) if is_whole else MIXED
            at, out = at + 1, out + (0 if bit & shrink else 1)
    return rows_along(out + fact.axis - at)


def same_length(node: Node) -> Fact:
    """Slice, Pad, Tile, BroadcastTo: the rows' axis must be left as it is."""
    fact, before, after = node.facts[0], node.input_dims(0), node.output_dims()
    if fact.axis is None or before is None or after is None:
        return UNKNOWN
    axis = fact.axis + len(after[0]) - len(before[0])
    return rows_along(axis) if [dims[axis] for dims in after] == [dims[fact.axis] for dims in before] else MIXED


def gather(node: Node) -> Fact:
    table, places = node.facts[:2]
    batch = int(node.attribute("batch_dims")) if "batch_dims" in node.first.node_def.attr else 0
    axis = node.constant(2) if len(node.facts) > 2 else 0
    if axis is None or {table.kind, places.kind} - {Kind.FREE, Kind.ROWS}:
        return UNKNOWN
    axis = int(axis) % (node.input_rank(0) if len(node.facts) > 2 else 1)
    if table.axis is None and batch == 0 and places.axis is not None:
        return rows_along(axis + places.axis)
    if batch and table.axis == places.axis == 0:
        return rows_along(0)
    if places.kind is Kind.FREE and batch == 0 and table.axis is not None:
        moved = node.input_rank(1) - 1 if axis < table.axis else 0
        return MIXED if axis == table.axis else rows_along(table.axis + moved)
    return UNKNOWN


def one_hot(node: Node) -> Fact:
    [fact, *others], along = node.facts, int(node.attribute("axis"))
    if fact.axis is None or {other.kind for other in others} != {Kind.FREE}:
        return UNKNOWN
    return rows_along(fact.axis + (1 if along != -1 and along <= fact.axis else 0))


def without(fact: Fact, gone: set[int], *, keeps: bool) -> int:
    assert fact.axis is not None
    return fact.axis if keeps else fact.axis - sum(axis < fact.axis for axis in gone)
