"""What the outputs of a model say: classes, yes or no, or numbers, as its loss and its last layer tell.

Runs in: the processes that evaluate and predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt

from raytrain.data.pipeline import Pipeline
from raytrain.spec.job import JobSpec

Array = npt.NDArray[Any]
Kind = Literal["classes", "binary", "values"]

_OF_CLASSES = {"sparsecategoricalcrossentropy", "categoricalcrossentropy", "categoricalfocalcrossentropy"}
_OF_BINARY = {"binarycrossentropy", "binaryfocalcrossentropy"}


@dataclass(frozen=True, kw_only=True)
class AnswerKind:
    """What one output says.

    Attributes:
        name: of the output; the label's column where there is one output, `output` where there is no label either.
        label: the column that it was trained on.
        from_logits: its numbers become probabilities by softmax, or sigmoid, first.
        names: of classes, by number, where a step had numbered them.
    """

    name: str
    kind: Kind
    label: str | None = None
    from_logits: bool = False
    names: Mapping[int, Any] = field(default_factory=dict)

    def probabilities(self, output: Array) -> Array:
        """(rows, …, classes), or of yes or no (rows,)."""
        if self.kind == "classes":
            return _softmax(output) if self.from_logits else output
        flat = output.reshape(len(output))
        return 1 / (1 + np.exp(-flat.astype(np.float64))) if self.from_logits else flat

    def class_names(self, count: int) -> list[Any]:
        """The name of each class, its number where it has no other."""
        return [self.names.get(number, number) for number in range(count)]


def answer_kinds(model: keras.Model, spec: JobSpec, pipeline: Pipeline) -> list[AnswerKind]:
    """Of each output, in the order in which `outputs_of` lists them."""
    labels = spec.data.label
    names = _output_names(model)
    if isinstance(labels, dict):
        ordered = names if set(names) >= set(labels) else list(labels)
        return [_kind(model, spec, pipeline, name, labels.get(name), index) for index, name in enumerate(ordered)]
    if len(names) > 1:
        return [_kind(model, spec, pipeline, name, None, index) for index, name in enumerate(names)]
    return [_kind(model, spec, pipeline, labels or "output", labels, 0)]


def outputs_of(answer: Any, kinds: list[AnswerKind]) -> list[Any]:
    """A model's answer as one tensor or array for each kind."""
    if isinstance(answer, dict):
        return [answer[kind.name] for kind in kinds] if kinds[0].name in answer else list(answer.values())
    return list(answer) if isinstance(answer, list | tuple) else [answer]


def _output_names(model: keras.Model) -> list[str]:
    try:
        return list(model.output_names)
    except (AttributeError, ValueError):
        return []


def _kind(
    model: keras.Model, spec: JobSpec, pipeline: Pipeline, name: str, label: str | None, index: int
) -> AnswerKind:
    loss = _loss_of(model, spec, name, index)
    config = loss if isinstance(loss, dict) else getattr(loss, "get_config", dict)()
    from_logits = bool(config.get("from_logits", False))
    units, activation = _last_layer(model, name, index)
    kind: Kind = "values"
    word = _name(loss)
    if word in _OF_CLASSES or (word not in _OF_BINARY and activation == "softmax"):
        kind = "classes" if units != 1 else "values"
    elif (word in _OF_BINARY or activation == "sigmoid") and units == 1:
        kind = "binary"
    names = pipeline.decoded_classes(label) if label and kind != "values" else {}
    return AnswerKind(name=name, kind=kind, label=label, from_logits=from_logits, names=names)


def _loss_of(model: keras.Model, spec: JobSpec, name: str, index: int) -> Any:
    loss = getattr(model, "loss", None)
    if loss is None and spec.compile is not None:
        loss = spec.compile.loss
    if isinstance(loss, dict) and "name" not in loss:
        return loss.get(name)
    if isinstance(loss, list | tuple):
        return loss[index] if index < len(loss) else None
    return loss


def _name(loss: Any) -> str:
    if isinstance(loss, dict):
        loss = loss.get("name")
    if not isinstance(loss, str):
        loss = getattr(loss, "__name__", type(loss).__name__)
    return str(loss).replace("_", "").lower()


def _last_layer(model: keras.Model, name: str, index: int) -> tuple[int | None, str]:
    """How many numbers a row an output has, and the activation that makes them; None and "" where nobody can tell."""
    try:
        output = model.outputs[index]
        units = output.shape[-1] if len(output.shape) > 1 else 1
        layer = output._keras_history.operation
    except (AttributeError, IndexError, TypeError, ValueError):
        return None, ""
    while isinstance(layer, keras.Model) and layer.layers:
        layer = layer.layers[-1]
    if isinstance(layer, keras.layers.Softmax):
        return units, "softmax"
    return units, getattr(getattr(layer, "activation", None), "__name__", "")


def _softmax(output: Array) -> Array:
    raised = np.exp(output.astype(np.float64) - output.max(axis=-1, keepdims=True))
    scaled: Array = (raised / raised.sum(axis=-1, keepdims=True)).astype(output.dtype)
    return scaled
