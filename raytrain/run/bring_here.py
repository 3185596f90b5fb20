"""Brings files of a run in an object store to this machine, for several processes of it at a time."""

from __future__ import annotations

from pathlib import Path

from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths


def bring_here(paths: RunPaths, *files: Path) -> None:
    """Downloads files of the run, those that are there; of a run in no object store they are where they are.

    Raises:
        OSError: the store does not answer.
    """
    if paths.uri is None:
        return
    from filelock import FileLock

    paths.root.mkdir(parents=True, exist_ok=True)
    store = ObjectStore(paths.uri)
    with FileLock(paths.root / ".bring.lock"):
        for file in files:
            store.pull(file.relative_to(paths.root).as_posix(), file)
