"""What becomes of the model's BatchNormalization layers when a batch is divided among workers.

Runs in: every Train worker.

A plain layer normalises each worker's slice by the slice's own statistics: with more than one worker that is another
model than with one, so the user is told. `fit: {sync_batch_norm: true}` takes the statistics of the global batch
instead, without a change to the user's code or to the saved model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


def plain_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers that take a slice's own statistics in training: not synchronised, and not frozen."""
    return [layer for layer in unsynchronized_layers(model) if layer.trainable]


def unsynchronized_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those that would, once they are trained: a callback may unfreeze them."""
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]


def synchronized_layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers that take the global batch's statistics."""
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.synchronized
    ]


@contextlib.contextmanager
def synchronized(layers: list[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Makes layers take the global batch's statistics while the block runs; the saved model is the user's own."""
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in layers:
            layer.synchronized = False
