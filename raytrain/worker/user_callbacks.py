"""What becomes of the user's callbacks when N processes run what was written for one.

Runs in: every Train worker. Callbacks that decide run on every rank and, seeing the same pooled metrics, decide alike;
callbacks that write files write once, on the chief.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from raytrain.spec.schema import JobSpec
from raytrain.worker import components

_WRITERS = (keras.callbacks.ModelCheckpoint, keras.callbacks.TensorBoard, keras.callbacks.CSVLogger)
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def load_callbacks(
    spec: JobSpec, folder: Path, *, rank: int, notice: Callable[[str], None]
) -> list[keras.callbacks.Callback]:
    """The job's callbacks for this rank, as many and in the same order on every rank."""
    return [_for_rank(callback, rank, notice) for callback in components.callbacks(spec.callbacks, folder)]


def act_on_batches(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Whether any callback is called at each batch: then batches cannot be run many at a time."""
    return any(
        hook in vars(callback) or getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)
        for callback in callbacks
        for hook in _BATCH_HOOKS
    )


def _for_rank(callback: keras.callbacks.Callback, rank: int, notice: Callable[[str], None]) -> keras.callbacks.Callback:
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        notice("BackupAndRestore is left out: the run's own checkpoints restore more, and on every rank")
        return keras.callbacks.Callback()
    if rank != 0 and isinstance(callback, _WRITERS):
        return keras.callbacks.Callback()
    return callback
