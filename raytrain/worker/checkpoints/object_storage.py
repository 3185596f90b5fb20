"""What a worker keeps in an object store and fetches from it, where the run's directory is in one.

Runs in: every Train worker. A directory that every node sees needs none of it, and gets none.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time

from raytrain.run.mirror import Mirror
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import COPIES, RunPaths
from raytrain.worker.checkpoints.checkpoint import MANIFEST

_OWNER = ".owner"
_KEPT_S = 24 * 3600.0


@contextlib.contextmanager
def mirrored(paths: RunPaths, *, notice: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, what this process writes into its copy of the directory reaches the store in seconds."""
    if paths.uri is None:
        yield
        return
    paths.root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_copies(paths.root.parent.parent)
    mirror = Mirror(paths.root, ObjectStore(paths.uri), notice=notice)
    with _owned(paths.root.parent) as owner:
        try:
            with mirror:
                yield
        finally:
            if mirror.missing:
                owner.unlink(missing_ok=True)
            else:
                shutil.rmtree(paths.root.parent, ignore_errors=True)


@contextlib.contextmanager
def _owned(copy: Path) -> Iterator[Path]:
    """Locks a file in the copy, under its name from the first moment, so that all see the copy's process lives."""
    new, owner = copy / f"{_OWNER}.new", copy / _OWNER
    with new.open("wb") as file:
        with contextlib.suppress(OSError):  # of a file system without locks, where copies stay
            fcntl.flock(file, fcntl.LOCK_EX)
            new.rename(owner)
        yield owner


def _remove_abandoned_copies(folder: Path) -> None:
    """Removes the copies of processes that were killed, some time after: they may hold what was not pushed yet.

    The copy of a process that ended with something that could not be pushed has no owner, and stays.
    """
    for owner in folder.glob(f"{COPIES}*/{_OWNER}"):
        with contextlib.suppress(OSError), owner.open("r+b") as file:
            if time() - owner.stat().st_mtime < _KEPT_S:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for entry in owner.parent.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
            shutil.rmtree(owner.parent)


def go_on_with_log(paths: RunPaths, log: Path) -> None:
    """Begins with what an earlier worker group left in the store, which the mirror would replace by less."""
    if paths.uri is not None:
        with contextlib.suppress(OSError):
            ObjectStore(paths.uri).pull(log.relative_to(paths.root).as_posix(), log)


def publish_checkpoint(paths: RunPaths, path: Path) -> None:
    """Commits in the store what was committed in the copy, and removes there what was removed here.

    Raises:
        OSError: the store does not take it; to be tried again.
    """
    if paths.uri is None:
        return
    store, folder = ObjectStore(paths.uri), paths.checkpoints.name
    store.push_folder(path, f"{folder}/{path.name}", marker=MANIFEST)
    kept = {entry.name for entry in paths.checkpoints.iterdir()}
    for name in store.folders(folder):
        if name not in kept:
            store.remove_folder(f"{folder}/{name}", marker=MANIFEST)


def fetch_checkpoints(paths: RunPaths, name: str = "") -> None:
    """Brings the checkpoints that count, or the one of that name, into this process's copy.

    Raises:
        OSError: the store does not answer.
    """
    if paths.uri is None:
        return
    store, folder = ObjectStore(paths.uri), paths.checkpoints.name
    for found in [name] if name else store.folders(folder):
        if f"{MANIFEST}" in store.names(f"{folder}/{found}"):
            store.pull_folder(f"{folder}/{found}", paths.checkpoints / found)
