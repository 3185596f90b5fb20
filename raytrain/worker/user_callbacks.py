"""What becomes of the user's callbacks when N processes run what was written for one.

Runs in: every Train worker. Callbacks that decide run on every rank and, seeing the same pooled metrics, decide alike;
callbacks that write files write once, on the chief. What a user has derived from one of Keras' writers runs on every
rank, where the part that is Keras' does nothing.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Sequence

import keras
from keras.src.utils import file_utils

_WRITERS = (
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
    keras.callbacks.CSVLogger,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.OrbaxCheckpoint,
)
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def for_rank(
    callbacks: Sequence[keras.callbacks.Callback], *, rank: int, notice: Callable[[str], None]
) -> list[keras.callbacks.Callback]:
    """What a rank runs of the job's callbacks: as many on every rank, and in the same order."""
    return [_for_rank(callback, rank, notice) for callback in callbacks]


def go_on_after(callbacks: Sequence[keras.callbacks.Callback], epoch: int) -> None:
    """Lets files that the chief's callbacks write go on where training does, instead of beginning anew."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger):
            _cut_after(callback, epoch)
            callback.append = True


def act_on_batches(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Whether any of the job's callbacks does something at each batch: then batches are not run many at a time.

    The answer has to be the same on every rank, so it is asked of the callbacks before `for_rank`.
    """
    return any(_acts_on_batches(callback) for callback in callbacks)


def _acts_on_batches(callback: keras.callbacks.Callback) -> bool:
    written = [vars(callback), *(vars(kind) for kind in type(callback).__mro__ if not _is_of_keras(kind))]
    if any(hook in names for hook in _BATCH_HOOKS for names in written):
        return True
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return bool(callback.save_freq != "epoch")
    if isinstance(callback, keras.callbacks.TensorBoard):
        return bool(callback.update_freq != "epoch")
    plain = keras.callbacks.Callback
    return any(getattr(type(callback), hook) is not getattr(plain, hook) for hook in _BATCH_HOOKS)


def _cut_after(logger: keras.callbacks.CSVLogger, epoch: int) -> None:
    """Leaves out the rows of epochs that are trained again."""
    if not file_utils.exists(logger.filename):
        return
    with file_utils.File(logger.filename, "r") as file:
        rows = list(csv.reader(file, delimiter=logger.sep))
    with file_utils.File(logger.filename, "w") as file:
        csv.writer(file, delimiter=logger.sep).writerows(
            row for row in rows if row and (not row[0].isdecimal() or int(row[0]) <= epoch)
        )


def _for_rank(callback: keras.callbacks.Callback, rank: int, notice: Callable[[str], None]) -> keras.callbacks.Callback:
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        notice("BackupAndRestore is left out: the run's own checkpoints restore more, and on every rank")
        return keras.callbacks.Callback()
    if rank == 0 or not isinstance(callback, _WRITERS):
        return callback
    if _is_of_keras(type(callback)):
        return keras.callbacks.Callback()
    _mute_writers()
    return callback


@functools.cache
def _mute_writers() -> None:
    """Makes Keras' own writers do nothing in this process, also when a class derived from them calls them."""
    for writer in _WRITERS:
        for name in [name for name in vars(writer) if name.startswith("on_") or name in ("set_model", "_save_model")]:
            setattr(writer, name, getattr(keras.callbacks.Callback, name, _do_nothing))


def _do_nothing(self: keras.callbacks.Callback, *args: object, **kwargs: object) -> None:
    """Stands for a writer's own method."""


def _is_of_keras(kind: type) -> bool:
    return kind is object or kind.__module__.split(".")[0] == "keras"
