"""Which parts of a model and its training are neither Keras' nor TensorFlow's: what a proof is for.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import tree

from raytrain.worker.variables import optimizers

_LOSSES, _METRICS = ("_user_loss",), ("_user_metrics", "_user_weighted_metrics")
_PROVEN = ("keras", "tensorflow", "tf_keras")


def own_parts(model: keras.Model) -> list[str]:
    """Each by its name, in no order that matters; none where the model is made of Keras' own parts only.

    Callbacks are not among them: what one does to a gradient it does by way of a step or an optimizer.
    """
    return list(dict.fromkeys(name for part in _parts(model) if (name := _own_name(part)) is not None))


def is_own(layer: keras.Layer) -> bool:
    """Whether a layer computes what the user wrote."""
    return isinstance(layer, keras.layers.Lambda) or _own_name(type(layer)) is not None


def own_layers(model: keras.Model) -> list[keras.Layer]:
    """The layers that compute what the user wrote, each once, in an order that the model itself fixes."""
    found = {id(layer): layer for layer in model._flatten_layers() if is_own(layer) and layer is not model}
    return list(found.values())


def _parts(model: keras.Model) -> Iterator[Any]:
    for layer in model._flatten_layers():
        yield type(layer)
        if isinstance(layer, keras.layers.Lambda):
            yield layer.function
        for name in ("activation", "activity_regularizer", "recurrent_activation"):
            part = getattr(layer, name, None)
            if part is not None:
                yield part if hasattr(part, "__qualname__") else type(part)
    yield from map(type, model.metrics)
    for part in tree.flatten([_given(model._compile_loss, _LOSSES), _given(model._compile_metrics, _METRICS)]):
        yield part if hasattr(part, "__qualname__") else type(part)
        yield from (getattr(part, "fn", None), getattr(part, "_fn", None))
    for optimizer in optimizers(model):
        yield type(optimizer)
        yield type(getattr(optimizer, "inner_optimizer", optimizer))


def _given(compiled: Any, names: tuple[str, ...]) -> list[Any]:
    """What the user gave to `compile`, which Keras makes more of later."""
    return [getattr(compiled, name) for name in names if getattr(compiled, name, None) is not None]


def _own_name(part: Any) -> str | None:
    if part is None or isinstance(part, str) or part in (str, type(None)):
        return None
    module = str(getattr(part, "__module__", "")).split(".")[0]
    return None if module in _PROVEN else str(getattr(part, "__qualname__", type(part).__qualname__))
