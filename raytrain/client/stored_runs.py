"""The runs whose directories lie in a storage: a folder, or an object store."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from raytrain.client.registry import RunRecord, remembered
from raytrain.client.run_directory import runs_of_store
from raytrain.errors import NotFound, Problem
from raytrain.run.object_store import is_object_store, split
from raytrain.run.run_id import parse_run_id
from raytrain.run.run_paths import RunPaths


def runs_in(storage: str) -> list[RunRecord]:
    """The runs whose directories lie in `storage`, the latest last.

    Raises:
        NotFound: there is no such directory, it may not be listed, or the object store does not answer.
    """
    if is_object_store(storage):
        return _runs_in_store(storage)
    root = path_of(storage)
    try:
        folders = [folder for folder in root.iterdir() if _is_run(folder)]
    except OSError as error:
        expected = "the directory that holds the runs' directories"
        raise NotFound(Problem(got=f"{storage}: {error.strerror}", expected=expected)) from error
    return sorted(map(_record_of_directory, folders), key=lambda record: (record.submitted_at, record.run))


def _runs_in_store(storage: str) -> list[RunRecord]:
    """Told by their ids alone, which have the minute of their submission."""
    try:
        runs = runs_of_store(storage)
    except OSError as error:
        raise NotFound(Problem(got=f"{storage}: {error}", expected="an object store that answers")) from error
    records = [
        RunRecord(run=run, name=name, storage=storage, submitted_at=moment.timestamp())
        for run in runs
        if (named := parse_run_id(run)) is not None
        for name, moment in [named]
    ]
    return sorted(records, key=lambda record: (record.submitted_at, record.run))


def recalled(records: Iterable[RunRecord], environ: Mapping[str, str] | None = None) -> list[RunRecord]:
    """The runs of directories, each with what this machine remembers of it beside: its cluster, job and attempt."""
    known = {record.run: record for record in remembered(environ)}
    return [replace(known.get(record.run, record), storage=record.storage) for record in records]


def run_of_directory(ref: str) -> RunRecord | None:
    """The run of a directory, also of one in an object store; None where `ref` is neither path nor URI.

    Raises:
        NotFound: it is one, and no run's.
    """
    if is_object_store(ref):
        return _directory_in_store(ref)
    path = path_of(ref)
    if "/" not in ref and not _is_run(path):
        return None
    if _is_run(path):
        return _record_of_directory(path.resolve())
    what = "a folder without events.jsonl or spec.json" if os.path.isdir(path) else "no folder in sight here"
    raise NotFound(
        Problem(got=f"{ref}, {what}", expected="a run's directory", fix="raytrain list shows where runs are")
    )


def _directory_in_store(uri: str) -> RunRecord:
    storage, run = split(uri)
    record = next((record for record in _runs_in_store(storage) if record.run == run), None)
    if record is None:
        raise NotFound(
            Problem(got=f"{uri}, no run there", expected="a run's directory", fix="raytrain list shows where runs are")
        )
    return record


def path_of(name: str) -> Path:
    """The path that a user names, `~` taken for a home.

    Raises:
        NotFound: that of a user who is not known here.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:
        got = f"{name}, the home of a user who is not known here"
        raise NotFound(Problem(got=got, expected="a path, or ~/ for your own home")) from None


def _is_run(folder: Path) -> bool:
    paths = RunPaths(folder)
    return os.path.isfile(paths.events) or os.path.isfile(paths.spec)


def _record_of_directory(folder: Path) -> RunRecord:
    name, submitted_at = "", 0.0
    # A log that has not begun, or is of another form, says neither.
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError), RunPaths(folder).events.open() as events:
        first = json.loads(events.readline())
        name, submitted_at = str(first.get("name", "")), float(first.get("submitted_at", 0.0))
    return RunRecord(run=folder.name, name=name, storage=str(folder.parent), submitted_at=submitted_at)
