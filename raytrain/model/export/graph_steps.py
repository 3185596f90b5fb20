"""The spec's `preprocess` steps as Keras operations, with what they learned as constants.

Runs in: a child process of the client.

They give the numbers of `raytrain.data.preprocess`, in the same precision but for LiteRT, which has float32 alone. What
a format cannot express is refused by the step's name; so is what could not refuse there what the step refuses here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from raytrain.data.preprocess.step_kinds import Step
from raytrain.errors import Problem, UsageError
from raytrain.export_protocol import Format
from raytrain.spec.preprocess_steps import Bucket, Encode, Impute, Normalize, OneHot, Power, Robust, Scale

Tensor = Any
Columns = Mapping[str, Tensor]

_OF_LISTS = ("tokenize", "pad", "count", "hash")
# Formats whose graphs can stop with an error, and hold tables of text.
_CHECKING = ("keras", "tf_saved_model")


@dataclass(frozen=True, kw_only=True)
class GraphSteps:
    """The steps of one run in one format.

    Attributes:
        wide: the type that steps compute in.
    """

    format: Format
    wide: str

    @classmethod
    def of(cls, format: Format) -> GraphSteps:
        return cls(format=format, wide="float32" if format == "litert" else "float64")

    def apply(self, step: Step, columns: Columns, wanted: set[str]) -> Columns:
        """The columns after the step, of which only those that are `wanted` are made.

        Raises:
            UsageError: the format cannot express it.
        """
        kind, value = step.step.kind, step.step.value
        if kind == "python":
            raise self.refuse(step, f"a function of the job's own, {value}", "steps of raytrain's own")
        if kind in _OF_LISTS:
            raise self.refuse(step, f"{kind}, which takes lists of any length", "steps of numbers and categories")
        if kind == "concatenate":
            made = self.side_by_side([self.narrow(columns[name]) for name in value.columns])
            return {**columns, value.into: made}
        if isinstance(value, Normalize):
            made = self._normalized([columns[name] for name in value.columns], value)
            return {**columns, **dict(zip(value.outputs, made, strict=True))}
        change = _CHANGES[kind]
        pairs = [(name, into) for name, into in zip(value.columns, value.outputs, strict=True) if into in wanted]
        return {**columns, **{into: change(self, columns[name], step, step.states.get(name)) for name, into in pairs}}

    def refuse(self, step: Step, got: str, expected: str, fix: str = "") -> UsageError:
        """That the format cannot express a step, and the way out."""
        field = f"data.preprocess.{step.index}.{step.step.kind}"
        outside = "--without-preprocessing exports the model alone, which is fed what the steps make"
        return UsageError(
            Problem(
                field=field,
                got=f"{got}, which {self.format} cannot express",
                expected=expected,
                fix=f"{fix}; or {outside}" if fix else outside,
            )
        )

    def narrow(self, tensor: Tensor) -> Tensor:
        """float64 as float32, as the model is fed."""
        return ops.cast(tensor, "float32") if tensor.dtype == "float64" else tensor

    def side_by_side(self, tensors: list[Tensor]) -> Tensor:
        """Numbers as one (rows, elements): floats where one of them is."""
        flat = [ops.reshape(tensor, (-1, int(np.prod(tensor.shape[1:], dtype=np.int64)))) for tensor in tensors]
        floats = [str(tensor.dtype) for tensor in flat if "float" in str(tensor.dtype)]
        kind = str(np.result_type(*floats)) if floats else "int64"
        return ops.concatenate([ops.cast(tensor, kind) for tensor in flat], axis=1)

    def numbers(self, tensor: Tensor) -> Tensor:
        return ops.cast(tensor, self.wide)

    def constant(self, value: Any) -> Any:
        return np.asarray(value, self.wide)

    def as_float(self, result: Tensor, before: Tensor) -> Tensor:
        """What a step computed: as float32 of pixels, which have no more digits."""
        if str(before.dtype) == "uint8":
            return ops.cast(result, "float32")
        return ops.cast(result, "float16") if str(before.dtype) == "float16" else result

    def shifted(self, tensor: Tensor, centre: Any, width: Any) -> Tensor:
        width = np.asarray(width, np.float64)
        by = self.constant(np.where(width == 0, 1.0, width))
        return self.as_float(ops.divide(ops.subtract(self.numbers(tensor), self.constant(centre)), by), tensor)

    def _normalized(self, tensors: list[Tensor], step: Normalize) -> list[Tensor]:
        sizes = [int(np.prod(tensor.shape[1:], dtype=np.int64)) for tensor in tensors]
        flat = [ops.reshape(self.numbers(tensor), (-1, size)) for tensor, size in zip(tensors, sizes, strict=True)]
        together = ops.concatenate(flat, axis=1) if len(flat) > 1 else flat[0]
        match step.norm:
            case "l1":
                norms = ops.sum(ops.absolute(together), axis=1, keepdims=True)
            case "l2":
                norms = ops.sqrt(ops.sum(ops.square(together), axis=1, keepdims=True))
            case _:
                norms = ops.max(ops.absolute(together), axis=1, keepdims=True)
        norms = ops.add(norms, ops.cast(ops.equal(norms, self.constant(0)), self.wide))
        return [
            self.as_float(ops.reshape(ops.divide(part, norms), (-1, *tensor.shape[1:])), tensor)
            for part, tensor in zip(flat, tensors, strict=True)
        ]

    def looked_up(self, tensor: Tensor, step: Step, categories: list[Any], *, refuses: bool) -> Tensor:
        """The place of each value among the categories, counted from 1; 0 for those that are not there.

        With `refuses` those stop the graph with an error.
        """
        is_text = isinstance(categories[0], str) if categories else str(tensor.dtype) == "string"
        if self.format not in _CHECKING:
            if is_text:
                raise self.refuse(step, "a look-up of text", "categories that are numbers")
            if refuses:
                raise self.refuse(
                    step,
                    "unseen: refuse, an error for a value that train lacks",
                    "a value for those",
                    f"unseen: {'ignore' if step.step.kind != 'encode' else 'NUMBER'} in the job that is trained",
                )
        if not is_text and not refuses:
            found = ops.equal(ops.expand_dims(self.numbers(tensor), -1), self.constant(categories))
            places = np.arange(1, len(categories) + 1)
            return ops.sum(ops.multiply(ops.cast(found, "int64"), places.astype(np.int64)), axis=-1)
        if not is_text and not all(isinstance(value, int) for value in categories):
            raise self.refuse(step, "unseen: refuse of fractions", "text or whole numbers, or a value for unseen ones")
        oov = 0 if refuses else 1
        if is_text:
            lookup = keras.layers.StringLookup(
                vocabulary=categories, num_oov_indices=oov, oov_token=_not_in(categories)
            )
        else:
            spare = min([0, *categories]) - 1
            lookup = keras.layers.IntegerLookup(vocabulary=categories, num_oov_indices=oov, oov_token=spare)
            tensor = ops.cast(tensor, "int64")
        return ops.add(lookup(tensor), np.int64(1 - oov))


def _not_in(categories: list[Any]) -> str:
    token = "[UNK]"
    while token in categories:
        token = f"[{token}]"
    return token


def _scale(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    value: Scale = step.step.value
    return graph.as_float(ops.multiply(graph.numbers(tensor), graph.constant(value.by)), tensor)


def _standardize(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    return graph.shifted(tensor, state["mean"], state["std"])


def _min_max(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    return graph.shifted(tensor, state["min"], np.subtract(state["max"], state["min"]))


def _max_abs(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    return graph.shifted(tensor, 0.0, np.maximum(np.abs(state["min"]), np.abs(state["max"])))


def _robust(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    assert isinstance(step.step.value, Robust)
    return graph.shifted(tensor, state["median"], state["range"])


def _power(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    """As Ray Data's PowerTransformer has it."""
    value: Power = step.step.value
    if value.method == "box-cox":
        raise graph.refuse(step, "box-cox, which refuses numbers that are not above 0", "method: yeo-johnson")
    x = graph.numbers(tensor)
    one, zero = graph.constant(1), graph.constant(0)
    is_up = ops.greater_equal(x, zero)
    up = _raised(graph, ops.add(ops.where(is_up, x, zero), one), value.power)
    down = _raised(graph, ops.subtract(one, ops.where(is_up, zero, x)), 2 - value.power)
    return graph.as_float(ops.where(is_up, up, ops.negative(down)), tensor)


def _raised(graph: GraphSteps, x: Tensor, power: float) -> Tensor:
    if power == 0:
        return ops.log(x)
    raised = ops.power(x, graph.constant(power))
    return ops.divide(ops.subtract(raised, graph.constant(1)), graph.constant(power))


def _impute(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    value: Impute = step.step.value
    if str(tensor.dtype) == "string":
        raise graph.refuse(step, "text in place of empty cells", "numbers")
    if "float" not in str(tensor.dtype):
        return tensor
    filled = np.asarray(value.fill_value if value.strategy == "constant" else state, str(tensor.dtype))
    return ops.where(ops.isnan(tensor), filled, tensor)


def _bucket(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    value: Bucket = step.step.value
    edges = graph.constant(state if isinstance(value.bins, int) else value.bins)
    above = ops.greater(ops.expand_dims(graph.numbers(tensor), -1), edges)
    return ops.sum(ops.cast(above, "int64"), axis=-1)


def _encode(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    value: Encode = step.step.value
    found = graph.looked_up(tensor, step, state, refuses=value.unseen == "refuse")
    known = ops.add(found, np.int64(value.start - 1))
    if value.unseen == "refuse":
        return known
    return ops.where(ops.equal(found, np.int64(0)), np.int64(value.unseen), known)


def _one_hot(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    value: OneHot = step.step.value
    categories = state if value.classes is None else list(range(value.classes))
    refuses = value.unseen == "refuse" or value.classes is not None
    return _vectors(graph.looked_up(tensor, step, categories, refuses=refuses), len(categories))


def _multi_hot(graph: GraphSteps, tensor: Tensor, step: Step, state: Any) -> Tensor:
    found = graph.looked_up(tensor, step, state, refuses=step.step.value.unseen == "refuse")
    vectors = _vectors(found, len(state))
    return ops.sum(ops.reshape(vectors, (-1, int(np.prod(tensor.shape[1:], dtype=np.int64)), len(state))), axis=1)


def _vectors(found: Tensor, size: int) -> Tensor:
    """A one at the place that was found, counted from 1; zeros for none."""
    return ops.cast(ops.equal(ops.expand_dims(found, -1), np.arange(1, size + 1, dtype=np.int64)), "float32")


_CHANGES: dict[str, Callable[[GraphSteps, Tensor, Step, Any], Tensor]] = {
    "scale": _scale,
    "standardize": _standardize,
    "min_max": _min_max,
    "max_abs": _max_abs,
    "robust": _robust,
    "power": _power,
    "impute": _impute,
    "bucket": _bucket,
    "encode": _encode,
    "one_hot": _one_hot,
    "multi_hot": _multi_hot,
}
