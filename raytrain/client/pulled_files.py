"""This machine's copies of what runs in object stores have written; a directory that it sees needs none."""

from __future__ import annotations

import contextlib
from pathlib import Path
from time import monotonic

from raytrain.client.registry import RunRecord
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths

_RENEW_EVERY_S = 2.0


def refresh(record: RunRecord) -> None:
    """Brings the small files of a run up to date; a store that does not answer leaves them as they are."""
    paths = RunPaths.of(record.storage, record.run) if record.storage else None
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
            _pull_quietly(self._paths, self._paths.events)
            self._next_s = monotonic() + _RENEW_EVERY_S


def pull_status(paths: RunPaths) -> None:
    """Brings a run's `status.json` up to date."""
    _pull_quietly(paths, paths.status)


def pull_log(paths: RunPaths, log: Path) -> None:
    """Brings one log up to date."""
    _pull_quietly(paths, log)


def pull_package(paths: RunPaths) -> None:
    """Fetches the job's folder as it was uploaded."""
    _pull_quietly(paths, paths.package)


def pull_model(paths: RunPaths) -> None:
    """Fetches the trained model."""
    _pull_quietly(paths, paths.model)


def put(paths: RunPaths, file: Path) -> None:
    """Hands a small file of the copy over to the store, where there is one.

    Raises:
        OSError: the store refuses it.
    """
    if paths.uri is not None:
        ObjectStore(paths.uri).push(file, file.relative_to(paths.root).as_posix())


def runs_of_store(storage: str) -> list[str]:
    """The runs in an object store.

    Raises:
        OSError: it does not answer.
    """
    return ObjectStore(storage).folders()


def _pull_quietly(paths: RunPaths, file: Path) -> None:
    with contextlib.suppress(OSError):
        _pull(paths, file)


def _pull(paths: RunPaths, file: Path) -> None:
    if paths.uri is not None:
        ObjectStore(paths.uri).pull(file.relative_to(paths.root).as_posix(), file)
