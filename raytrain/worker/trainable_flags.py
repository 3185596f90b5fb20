"""Which layers of a model are trained: what a callback may change while a traced step goes on as it was.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras


def flags_of(model: keras.Model) -> list[bool]:
    """`trainable` of each layer, the model's own first, and of a layer before those within it."""
    return [bool(layer.trainable) for layer in model._flatten_layers()]


def set_flags(model: keras.Model, flags: Sequence[bool]) -> None:
    for layer, flag in zip(model._flatten_layers(), flags, strict=False):
        layer.trainable = flag


@contextlib.contextmanager
def with_flags(model: keras.Model, flags: Sequence[bool]) -> Iterator[None]:
    """The model is trained so while the block runs."""
    before = flags_of(model)
    if before == flags:
        yield
        return
    set_flags(model, flags)
    try:
        yield
    finally:
        set_flags(model, before)
