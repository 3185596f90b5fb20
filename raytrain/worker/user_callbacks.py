"""What becomes of the user's callbacks when N processes run what was written for one.

Runs in: every Train worker. Callbacks that decide run on every rank and, seeing the same pooled metrics, decide alike;
callbacks that write files write once, on the chief.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

_WRITERS = (keras.callbacks.ModelCheckpoint, keras.callbacks.TensorBoard, keras.callbacks.CSVLogger)
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def for_rank(
    callbacks: Sequence[keras.callbacks.Callback], *, rank: int, notice: Callable[[str], None]
) -> list[keras.callbacks.Callback]:
    """What a rank runs of the job's callbacks: as many on every rank, and in the same order."""
    return [_for_rank(callback, rank, notice) for callback in callbacks]


def act_on_batches(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Whether any of the job's callbacks does something at each batch: then batches are not run many at a time.

    The answer has to be the same on every rank, so it is asked of the callbacks before `for_rank`.
    """
    return any(_acts_on_batches(callback) for callback in callbacks)


def _acts_on_batches(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return bool(callback.save_freq != "epoch")
    if isinstance(callback, keras.callbacks.TensorBoard):
        return bool(callback.update_freq != "epoch")
    plain = keras.callbacks.Callback
    return any(
        hook in vars(callback) or getattr(type(callback), hook) is not getattr(plain, hook) for hook in _BATCH_HOOKS
    )


def _for_rank(callback: keras.callbacks.Callback, rank: int, notice: Callable[[str], None]) -> keras.callbacks.Callback:
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        notice("BackupAndRestore is left out: the run's own checkpoints restore more, and on every rank")
        return keras.callbacks.Callback()
    if rank != 0 and isinstance(callback, _WRITERS):
        return keras.callbacks.Callback()
    return callback
