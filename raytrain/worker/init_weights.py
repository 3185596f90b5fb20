"""Which layers begin with a saved model's weights, and which of them training leaves alone.

Runs in: every Train worker.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from raytrain.errors import Problem, UserCodeError
from raytrain.run.events import Initialised


@dataclass(frozen=True)
class SavedLayers:
    """The saved model's layers as they were read, by name, before a function of the user's was given them."""

    weights: dict[str, list[Any]]

    @classmethod
    def of(cls, base: keras.Model) -> SavedLayers:
        return cls({name: [np.asarray(array) for array in layer.get_weights()] for name, layer in _layers(base)})


def freeze(model: keras.Model, patterns: Sequence[str]) -> None:
    """Keeps training from the layers of these names, or patterns such as `conv*`, and from all that is within them.

    Raises:
        UserCodeError: the model has no layer of that name.
    """
    layers = model._flatten_layers(include_self=False)
    named: dict[str, list[Any]] = {}
    for layer in layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        named.setdefault(layer.name, []).append(layer)
    for place, pattern in enumerate(patterns):
        found = [layer for name in named if fnmatch.fnmatchcase(name, pattern) for layer in named[name]]
        if not found:
            near = difflib.get_close_matches(pattern, named, n=1)
            raise UserCodeError(
                Problem(
                    field=f"freeze.{place}",
                    got=f"`{pattern}`, which no layer is named",
                    expected=f"one of {', '.join(named)}, or a pattern of these such as conv*",
                    fix=f"did you mean `{near[0]}`?" if near else "",
                )
            )
        for layer in found:
            layer.trainable = False


def initialised(model: keras.Model, saved: SavedLayers | None) -> Initialised:
    """What each layer with weights begins with.

    Args:
        saved: the layers of the saved model; None where there is none.
    """
    known = saved.weights if saved else {}
    taken, left, other_shape, frozen = [], [], [], []
    for name, layer in _layers(model):
        now, before = layer.get_weights(), known.get(name)
        if not layer.trainable_weights:
            frozen.append(name)
        if before is not None and [array.shape for array in now] != [array.shape for array in before]:
            other_shape.append(name)
        if before is not None and _are_equal(now, before):
            taken.append(name)
        else:
            left.append(name)
    return Initialised(taken=taken, left=left, other_shape=other_shape, frozen=frozen)


def _are_equal(now: Sequence[Any], before: Sequence[Any]) -> bool:
    return len(now) == len(before) and all(
        np.array_equal(np.asarray(one), other) for one, other in zip(now, before, strict=True)
    )


def _layers(model: keras.Model) -> list[tuple[str, Any]]:
    """The innermost layers that have weights of their own, in order, each with its name; a namesake counts once."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers(include_self=False):
        has_own = layer._trainable_variables or layer._non_trainable_variables
        if has_own and not isinstance(layer, keras.Model):
            found.setdefault(layer.name, layer)
    order = {id(variable): place for place, variable in enumerate(model.weights)}
    return sorted(found.items(), key=lambda item: min(order.get(id(each), 0) for each in item[1].weights))
