"""Which layers of the user's own make something else of a row when it comes with other rows.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from raytrain.worker.exact.patching import replaced
from raytrain.worker.proof.own_code import own_layers

_ALLOWED = 1e-4


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer: what it was handed and what it returned."""

    layer: keras.Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    returned: Any


@contextlib.contextmanager
def calls_of_own_layers(model: keras.Model) -> Iterator[list[Call]]:
    """What is called while the block, a step that is run eagerly, runs."""
    calls: list[Call] = []
    with contextlib.ExitStack() as ending:
        for layer in own_layers(model):
            ending.enter_context(replaced(layer, "call", _noting(layer, layer.call, calls)))
        yield calls


def mixing_layers(calls: list[Call], rows: int) -> list[keras.Layer]:
    """The layers whose answer for the first half of the rows depends on the others, each once.

    Args:
        rows: how many each call was of.
    """
    return list({id(call.layer): call.layer for call in calls if _mixes(call, rows)}.values())


def _noting(layer: keras.Layer, call: Callable[..., Any], calls: list[Call]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        returned = call(*args, **kwargs)
        calls.append(Call(layer=layer, args=args, kwargs=kwargs, returned=returned))
        return returned

    return noted


def _mixes(call: Call, rows: int) -> bool:
    half = max(1, rows // 2)

    def first(value: Any) -> Any:
        is_of_rows = isinstance(value, tf.Tensor) and value.shape.rank and value.shape[0] == rows
        return value[:half] if is_of_rows else value

    handed = tree.map_structure(first, (call.args, call.kwargs))
    try:
        alone = call.layer.call(*handed[0], **handed[1])
    except Exception:  # noqa: BLE001  the user's code, which may want as many rows as it was written for
        return True
    pairs = zip(tree.flatten(alone), map(first, tree.flatten(call.returned)), strict=False)
    return any(_differ(mine, whole) for mine, whole in pairs if isinstance(mine, tf.Tensor))


def _differ(one: tf.Tensor, other: tf.Tensor) -> bool:
    if one.shape != other.shape:
        return True
    if not one.dtype.is_floating:
        return bool(tf.reduce_any(one != other))
    scale = tf.maximum(tf.reduce_max(tf.abs(other)), 1e-30)
    return bool(tf.reduce_max(tf.abs(one - other)) > _ALLOWED * tf.cast(scale, one.dtype))
