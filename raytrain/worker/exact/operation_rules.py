"""How each kind of TensorFlow operation passes on the dependence on rows.

Runs in: every Train worker, while a step is traced.

A rule says of an operation's outputs what is known, given what is known of its inputs; without a rule nothing is. None
may claim more independence than there is: what no rule covers costs speed, never the answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from raytrain.worker.exact import axis_rules
from raytrain.worker.exact.row_facts import (
    FREE,
    MEAN,
    MIXED,
    SIZE,
    SUM,
    UNKNOWN,
    Fact,
    Kind,
    Node,
    growing_axis,
    rows_along,
)

Rule = Callable[[Node], Fact]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENTRY_BY_ENTRY = _names("""
Abs Acos Acosh Add AddV2 AddN Asin Asinh Atan Atan2 Atanh BitwiseAnd BitwiseOr BitwiseXor Cast Ceil ClipByValue
ComplexAbs Cos Cosh Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater
GreaterEqual Inv IsFinite IsInf IsNan LeakyRelu Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum
Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual OnesLike Pow RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt
Select SelectV2 Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square SquaredDifference Sub Tan Tanh TruncateDiv
TruncateMod Xdivy Xlog1py Xlogy ZerosLike Zeta
""")
_AS_IT_IS = _names("CheckNumerics EnsureShape Identity PreventGradient Snapshot StopGradient")
# Whose first input has rows of which each is worked on by itself, with weights that are the same for all.
_ROW_BY_ROW = _names("""
AvgPool AvgPool3D BiasAdd Conv2D Conv3D DepthToSpace DepthwiseConv2dNative ExtractImagePatches MaxPool MaxPool3D
ResizeBicubic ResizeBilinear ResizeNearestNeighbor SpaceToDepth
""")
_LAST_AXIS = _names("LogSoftmax Softmax TopKV2")
_OF_ROWS_ONLY = _names("InTopKV2 SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits")
# Draws are a worker's own, which is told of elsewhere: those of a row belong to it.
_RANDOM = _names("""
Multinomial ParameterizedTruncatedNormal RandomStandardNormal RandomUniform RandomUniformInt StatelessMultinomial
StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullInt
StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessTruncatedNormal
StatelessTruncatedNormalV2 TruncatedNormal
""")
_HARMLESS = {"Assert", "Placeholder", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarHandleOp"}


def facts_after(node: Node) -> list[Fact]:
    """What is known of each of an operation's outputs."""
    operation = node.first
    kinds = node.kinds
    if operation.type in _RANDOM:
        found = _drawn(node)
    elif Kind.MIXED in kinds:
        found = MIXED
    elif Kind.UNKNOWN in kinds or (operation.op_def.is_stateful and operation.type not in _HARMLESS):
        found = UNKNOWN
    elif operation.type == "Const":
        found = _constant(node)
    elif operation.type == "IdentityN":
        return list(node.facts)
    elif kinds <= {Kind.FREE}:
        found = FREE
    elif kinds <= {Kind.FREE, Kind.SIZE}:
        found = _of_size(node)
    else:
        rule = RULES.get(operation.type)
        ranks = [tensor.shape.rank for tensor in [*operation.inputs, *operation.outputs]]
        found = UNKNOWN if rule is None or None in ranks else rule(node)
    return [found] * len(operation.outputs)


def _drawn(node: Node) -> Fact:
    axis = growing_axis(node.output_dims())
    return FREE if axis is None else rows_along(axis)


def _constant(node: Node) -> Fact:
    values = [tf.make_ndarray(operation.get_attr("value")) for operation in (node.first, node.second)]
    if values[0].shape == values[1].shape:
        return FREE if values[0].tobytes() == values[1].tobytes() else SIZE
    entries = [np.unique(value) for value in values]
    axis = growing_axis((values[0].shape, values[1].shape))
    is_the_same = len(entries[0]) == 1 and np.array_equal(entries[0], entries[1])
    return rows_along(axis) if axis is not None and is_the_same else SIZE


def _of_size(node: Node) -> Fact:
    """Of what depends on the number of rows alone: as many entries as there are rows, all the same, or numbers."""
    if node.first.type in ("Fill", "BroadcastTo") and node.facts[_VALUE[node.first.type]].kind is Kind.FREE:
        axis = growing_axis(node.output_dims())
        return SIZE if axis is None else rows_along(axis)
    return SIZE


_VALUE = {"Fill": 1, "BroadcastTo": 0}


def _entry_by_entry(node: Node) -> Fact:
    kinds = node.kinds
    if not kinds <= {Kind.ROWS, Kind.FREE}:
        return MIXED
    # Axes are counted from the last, as broadcasting does.
    places = {fact.axis - node.input_rank(index) for index, fact in enumerate(node.facts) if fact.axis is not None}
    return rows_along(node.output_rank() + places.pop()) if len(places) == 1 else MIXED


def _add(node: Node) -> Fact:
    kinds = [fact.kind for fact in node.facts]
    if set(kinds) <= {Kind.MEAN, Kind.FREE}:
        return MEAN
    if kinds[0] is Kind.STATE and all(_is_sum(node, index) for index in range(1, len(kinds))):
        return node.facts[0]
    if all(_is_sum(node, index) for index in range(len(kinds))):
        return SUM
    return _entry_by_entry(node)


def _is_sum(node: Node, index: int) -> bool:
    fact = node.facts[index]
    if fact.kind is Kind.FREE:
        constant = node.constant(index)
        return constant is not None and not np.any(constant)
    return fact.kind is Kind.SUM or (fact.kind is Kind.SIZE and node.is_number_of_rows(index))


def _multiply(node: Node) -> Fact:
    one, other = (fact.kind for fact in node.facts)
    if {one, other} in ({Kind.MEAN, Kind.FREE}, {Kind.SUM, Kind.FREE}):
        return MEAN if Kind.MEAN in (one, other) else SUM
    return _entry_by_entry(node)


def _divide(node: Node) -> Fact:
    above, below = (fact.kind for fact in node.facts)
    if above in (Kind.MEAN, Kind.SUM) and below is Kind.FREE:
        return node.facts[0]
    if above is Kind.SUM and below is Kind.SIZE and node.is_number_of_rows(1):
        return MEAN
    return _entry_by_entry(node)


def _cast(node: Node) -> Fact:
    to, of = node.first.outputs[0].dtype, node.first.inputs[0].dtype
    is_linear = to.is_floating or (of.is_integer and to.is_integer)
    is_state = node.facts[0].kind is Kind.STATE
    return node.facts[0] if is_linear and (not is_state or to == of) else _entry_by_entry(node)


def _linear(node: Node) -> Fact:
    return node.facts[0] if node.facts[0].kind in (Kind.MEAN, Kind.SUM) else _entry_by_entry(node)


def _as_it_is(node: Node) -> Fact:
    return node.facts[0]


def _reduce(node: Node, over_rows: Fact) -> Fact:
    """Takes `over_rows` for what comes of reducing the axis of the rows."""
    [fact, _], axes = node.facts, node.constant(1)
    if axes is None:
        return UNKNOWN
    if fact.kind in (Kind.MEAN, Kind.SUM):
        return fact if over_rows is not MIXED else MIXED
    if fact.kind is not Kind.ROWS:
        return MIXED
    rank = node.input_rank(0)
    reduced = {int(axis) % rank for axis in np.atleast_1d(axes)}
    if fact.axis in reduced:
        is_rounded = over_rows is MEAN and not node.first.inputs[0].dtype.is_floating
        return MIXED if is_rounded else over_rows
    return rows_along(axis_rules.without(fact, reduced, keeps=bool(node.attribute("keep_dims"))))


def _multiply_matrices(node: Node) -> Fact:
    names = [name for name in ("transpose_a", "adj_x") if name in node.first.node_def.attr]
    turned = [node.attribute(names[0]), node.attribute(names[0].replace("_a", "_b").replace("_x", "_y"))]
    ranks = [node.input_rank(index) for index in (0, 1)]
    left, right = ("...ji" if turned[0] else "...ij"), ("...kj" if turned[1] else "...jk")
    return _contract(node, [_letters(left, ranks[0]), _letters(right, ranks[1])], _letters("...ik", max(ranks)))


def _einsum(node: Node) -> Fact:
    ins, out = node.attribute("equation").decode().replace(" ", "").split("->")
    parts = [_letters(part, node.input_rank(index)) for index, part in enumerate(ins.split(","))]
    return _contract(node, parts, _letters(out, node.output_rank()))


def _letters(part: str, rank: int) -> list[str]:
    """The name of each axis; those that `...` stands for are counted from the last."""
    named = part.replace("...", "")
    more = [f"{place}" for place in range(len(named) - rank, 0)]
    start = part.find("...")
    return list(named) if start < 0 else [*named[:start], *more, *named[start:]]


def _contract(node: Node, ins: list[list[str]], out: list[str]) -> Fact:
    kinds = node.kinds
    if len(node.facts) == 2 and kinds in ({Kind.MEAN, Kind.FREE}, {Kind.SUM, Kind.FREE}):
        return MEAN if Kind.MEAN in kinds else SUM
    if not kinds <= {Kind.ROWS, Kind.FREE}:
        return MIXED
    names = {names[fact.axis] for names, fact in zip(ins, node.facts, strict=True) if fact.axis is not None}
    if len(names) != 1:
        return MIXED
    name = names.pop()
    return rows_along(out.index(name)) if name in out else SUM


def _row_by_row(node: Node) -> Fact:
    is_so = node.facts[0] == rows_along(0) and {fact.kind for fact in node.facts[1:]} <= {Kind.FREE}
    return node.facts[0] if is_so else UNKNOWN


def _last_axis(node: Node) -> Fact:
    fact = node.facts[0]
    return MIXED if fact.axis in (None, node.input_rank(0) - 1) else fact


def _of_rows_only(node: Node) -> Fact:
    given = {fact for fact in node.facts if fact.kind is not Kind.FREE}
    return rows_along(0) if given == {rows_along(0)} else UNKNOWN


def _half_sum_of_squares(node: Node) -> Fact:
    return SUM if node.facts[0].kind is Kind.ROWS else MIXED


RULES: dict[str, Rule] = {
    **dict.fromkeys(_ENTRY_BY_ENTRY, _entry_by_entry),
    **dict.fromkeys(_AS_IT_IS, _as_it_is),
    **dict.fromkeys(_ROW_BY_ROW, _row_by_row),
    **dict.fromkeys(_LAST_AXIS, _last_axis),
    **dict.fromkeys(_OF_ROWS_ONLY, _of_rows_only),
    **dict.fromkeys(("Add", "AddV2", "AddN", "Sub"), _add),
    **dict.fromkeys(("Mul", "MulNoNan"), _multiply),
    **dict.fromkeys(("RealDiv", "DivNoNan"), _divide),
    **dict.fromkeys(("All", "Any", "Max", "Min", "Prod", "EuclideanNorm"), lambda node: _reduce(node, MIXED)),
    **dict.fromkeys(("ArgMax", "ArgMin"), axis_rules.find),
    **dict.fromkeys(("Cumsum", "Cumprod", "ReverseV2"), axis_rules.run_along),
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), axis_rules.reshape),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _multiply_matrices),
    **dict.fromkeys(("Split", "SplitV", "Unpack"), axis_rules.split),
    **dict.fromkeys(("Slice", "Pad", "PadV2", "MirrorPad", "Tile", "BroadcastTo"), axis_rules.same_length),
    **dict.fromkeys(("Gather", "GatherV2", "ResourceGather"), axis_rules.gather),
    "Bitcast": lambda node: _entry_by_entry(node) if node.input_rank(0) == node.output_rank() else UNKNOWN,
    "Cast": _cast,
    "ConcatV2": axis_rules.concatenate,
    "Einsum": _einsum,
    "L2Loss": _half_sum_of_squares,
    "Mean": lambda node: _reduce(node, MEAN),
    "Neg": _linear,
    "OneHot": axis_rules.one_hot,
    "Pack": axis_rules.pack,
    "Shape": lambda node: SIZE,
    "Size": lambda node: SIZE,
    "StridedSlice": axis_rules.slice_with_strides,
    "Sum": lambda node: _reduce(node, SUM),
    "Transpose": axis_rules.transpose,
}
