"""Finds the checkpoint that all ranks begin from.

Runs in: every Train worker.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep, time

import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.worker import checkpoint, messages
from raytrain.worker.reporting import Channel
from raytrain.worker.strategy import sum_over_workers

_PATIENCE_S = 90


def newest_checkpoint(
    root: Path, channel: Channel, strategy: tf.distribute.Strategy, *, rank: int
) -> tuple[Path, checkpoint.Snapshot] | None:
    """The newest whole checkpoint as the chief sees it, on every rank.

    Raises:
        UserCodeError: this rank cannot read what the chief has read.
    """

    def skipped(path: Path, why: str) -> None:
        channel.send(messages.CheckpointBroken(rank=0, time=time(), path=str(path), why=why))

    found = checkpoint.read_newest(root, skipped=skipped) if rank == 0 else None
    [epochs_done] = sum_over_workers(strategy, [float(found[1].epoch + 1) if found else 0.0])
    if epochs_done == 0:
        return None
    path = checkpoint.path_of(root, int(epochs_done) - 1)
    if found is None:
        return path, _read_patiently(path)
    channel.send(messages.RestoredFrom(rank=0, time=time(), epoch=found[1].epoch, path=str(path)))
    return found


def _read_patiently(path: Path) -> checkpoint.Snapshot:
    """Reads a checkpoint that is known to be whole; a shared file system may show it late."""
    deadline = monotonic() + _PATIENCE_S
    while True:
        try:
            return checkpoint.read(path)
        except (OSError, ValueError, KeyError) as error:
            if monotonic() > deadline:
                raise UserCodeError(
                    Problem(
                        field="storage",
                        got=f"{path}, which the chief has read and this rank cannot: {error}",
                        expected="storage that shows every node the same files",
                    )
                ) from error
            sleep(1)
