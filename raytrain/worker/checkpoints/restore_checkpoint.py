"""Finds the checkpoint that all ranks begin from.

Runs in: every Train worker.
"""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from time import monotonic, sleep, time

import tensorflow as tf

from raytrain import protocol
from raytrain.errors import Problem, UserCodeError
from raytrain.run.events import CheckpointSkipped, Restored
from raytrain.run.run_paths import RunPaths
from raytrain.worker.checkpoints import backoff, checkpoint
from raytrain.worker.checkpoints.object_storage import fetch_checkpoints
from raytrain.worker.model_file import StorageError
from raytrain.worker.reporting_hook import Channel
from raytrain.worker.strategy import sum_over_workers

_PATIENCE_S = 90


def newest_checkpoint(
    paths: RunPaths, channel: Channel, strategy: tf.distribute.Strategy, *, rank: int, steps_per_epoch: int
) -> checkpoint.Snapshot | None:
    """The newest whole checkpoint as the chief sees it, on every rank.

    One taken within an epoch holds what each worker had of its own, so only as many workers can go on from it, in
    epochs of as many steps; others go on from the newest one at an epoch's end.

    Raises:
        UserCodeError: this rank cannot read what the chief has read.
    """

    root = paths.checkpoints

    def skipped(path: Path, why: str) -> None:
        broken = CheckpointSkipped(path=paths.shown(path), why=why)
        channel.send(protocol.Happened(rank=0, time=time(), event=broken))

    def usable(snapshot: checkpoint.Snapshot) -> bool:
        same = len(snapshot.ranks), snapshot.state.get("steps_per_epoch")
        return snapshot.step == 0 or same == (strategy.num_replicas_in_sync, steps_per_epoch)

    if rank == 0:
        _fetch_patiently(paths)
    found = checkpoint.read_newest(root, skipped=skipped, usable=usable) if rank == 0 else None
    seen = checkpoint.CheckpointName.parse(found[0].name) if found else None
    mine = [float(number) for number in astuple(seen)] if seen else [0.0, 0.0, 0.0]
    place = checkpoint.CheckpointName(*(int(number) for number in sum_over_workers(strategy, mine)))
    if place == checkpoint.CheckpointName(0):
        return None
    if found is None:
        _fetch_patiently(paths, place.name)
        return _read_patiently(root / place.name)
    path, snapshot = found
    restored = Restored(epoch=snapshot.epoch, step=snapshot.step, path=paths.shown(path), time=time())
    channel.send(protocol.GoesOn(rank=0, time=time(), restored=restored, reports=snapshot.reports))
    return snapshot


def _fetch_patiently(paths: RunPaths, name: str = "") -> None:
    """Fetches from an object store, which may fail for a moment.

    Raises:
        StorageError: it failed for `_PATIENCE_S`.
    """
    deadline, failures = monotonic() + _PATIENCE_S, 0
    while True:
        try:
            return fetch_checkpoints(paths, name)
        except OSError as error:
            failures += 1
            if monotonic() > deadline:
                raise StorageError(f"got {error} for the checkpoints in {paths.shown()}") from error
            sleep(backoff.wait_s(failures))


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
