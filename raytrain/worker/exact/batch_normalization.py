"""What becomes of the model's BatchNormalization layers when a batch is divided among workers.

Runs in: every Train worker.

A plain layer normalises each worker's slice by the slice's own statistics: with more than one worker that is another
model than with one, so the user is told. `fit: {sync_batch_norm: true}` takes the statistics of the global batch
instead, without a change to the user's code or to the saved model, whenever a layer is made.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from raytrain.worker.exact.patching import replaced

_synchronized: list[bool] = []


def plain_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers that take a slice's own statistics in training: not synchronised, and not frozen."""
    return [layer for layer in _layers(model) if layer.trainable and not _is_synchronized(layer)]


def synchronized_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers that take the global batch's statistics."""
    return [layer for layer in _layers(model) if _is_synchronized(layer)]


def tell_of_plain_layers(
    model: keras.Model, *, workers: int, notice: Callable[[str], None]
) -> list[keras.layers.BatchNormalization]:
    """Tells what they do where several workers train; returns those that it was told of."""
    plain = plain_layers(model) if workers > 1 else []
    if plain:
        notice(
            f"BatchNormalization (layer {plain[0].name}) normalises each worker's part of a batch by itself, so the"
            " result depends on the number of workers; fit.sync_batch_norm=true takes the whole batch"
        )
    return plain


@contextlib.contextmanager
def synchronized() -> Iterator[None]:
    """Every layer takes the global batch's statistics while the block runs; the saved model is the user's own."""
    _synchronized.append(True)
    try:
        yield
    finally:
        _synchronized.pop()


def call_synchronized(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `BatchNormalization.call`."""

    @functools.wraps(call)
    def in_step(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if self.synchronized or not _is_synchronized(self):
            return call(self, inputs, training=training, mask=mask)
        with replaced(self, "synchronized", True):
            return call(self, inputs, training=training, mask=mask)

    return in_step


def _is_synchronized(layer: keras.layers.BatchNormalization) -> bool:
    return bool(layer.synchronized or _synchronized)


def _layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
