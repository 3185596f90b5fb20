"""A run's directory as this machine sees it: itself, or of one in an object store the copy of what it holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from time import monotonic

from raytrain.client.registry import RunRecord
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths

_RENEW_EVERY_S = 2.0


def directory_of(record: RunRecord) -> RunPaths | None:
    """The run's directory; it may be out of this machine's sight. None where nobody knows where it is."""
    return RunPaths.of(record.storage, record.run) if record.storage else None


def refresh(record: RunRecord) -> None:
    """Brings the small files of a run up to date; a store that does not answer leaves them as they are."""
    paths = directory_of(record)
    if paths is None or paths.uri is None:
        return
    files = [paths.events, paths.status, paths.metrics, paths.spec, paths.request]
    with contextlib.suppress(OSError):
        for file in files:
            _pull(paths, file)


class CopiedLog:
    """The copy of a run's event log, renewed every few seconds at most."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._next_s = 0.0

    def renew(self) -> None:
        if monotonic() >= self._next_s:
            pull(self._paths, self._paths.events)
            self._next_s = monotonic() + _RENEW_EVERY_S


def pull(paths: RunPaths, file: Path) -> None:
    """Brings one file up to date; a store that does not answer leaves it as it is."""
    with contextlib.suppress(OSError):
        _pull(paths, file)


def put(paths: RunPaths, file: Path) -> None:
    """Hands a small file of the copy over to the store, where there is one.

    Raises:
        OSError: the store refuses it.
    """
    if paths.uri is not None:
        ObjectStore(paths.uri).push(file, file.relative_to(paths.root).as_posix())


def runs_checkpoints(record: RunRecord) -> list[str] | None:
    """The names of the checkpoints in the run's directory; None where it is out of sight here."""
    paths = directory_of(record)
    if paths is None:
        return None
    with contextlib.suppress(OSError):
        if paths.uri is not None:
            return ObjectStore(paths.uri).folders(paths.checkpoints.name)
        if paths.root.is_dir():
            return sorted(path.name for path in paths.checkpoints.glob("epoch-*"))
    return None


def runs_of_store(storage: str) -> list[str]:
    """The runs in an object store.

    Raises:
        OSError: it does not answer.
    """
    return ObjectStore(storage).folders()


def _pull(paths: RunPaths, file: Path) -> None:
    if paths.uri is not None:
        ObjectStore(paths.uri).pull(file.relative_to(paths.root).as_posix(), file)
