"""Deletes runs: their directories, and what this machine remembers of them; never one that goes on or has a tag."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain import formatting
from raytrain.client.attempts import goes_on, next_attempt
from raytrain.client.kept_requests import forget_request
from raytrain.client.registry import RunRecord, forget
from raytrain.client.run_directory import directory_of
from raytrain.client.run_list import RunRow, list_runs
from raytrain.client.run_view import RunView
from raytrain.client.tags import tags_of
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.run.lease import read_leases
from raytrain.run.object_store import ObjectStore, split
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """What deleting a run removes.

    Attributes:
        directory: as people know it; empty where nobody knows of one.
        files, bytes: that are in it.
    """

    record: RunRecord
    paths: RunPaths | None
    files: int
    bytes: int

    @property
    def directory(self) -> str:
        return self.paths.shown() if self.paths else ""

    def __str__(self) -> str:
        """`digits-… 31 files, 1.2 MiB, ~/raytrain/digits-…`."""
        where = f"{formatting.plural(self.files, 'file')}, {formatting.size(self.bytes)}, {self.directory}"
        return f"{self.record.run}  {where if self.directory else 'nothing but what this machine remembers'}"

    def to_dict(self) -> dict[str, Any]:
        return {"run": self.record.run, "directory": self.directory, "files": self.files, "bytes": self.bytes}

    def carry_out(self, environ: Mapping[str, str] | None = None) -> None:
        """Deletes the run. One that is cut off leaves a directory that no command takes for a run.

        Raises:
            UsageError: the run goes on.
            NotFound: its directory is out of sight.
            OSError: it cannot be deleted.
        """
        _refuse_living(self.record)
        if self.paths is not None and self.paths.uri is not None:
            storage, run = split(self.paths.uri)
            ObjectStore(storage).remove_folder(run, marker=self.paths.events.name)
            shutil.rmtree(self.paths.root.parent, ignore_errors=True)  # what was copied here of it
        elif self.paths is not None and os.path.isdir(self.paths.root):
            aside = RunPaths(self.paths.root.with_name(f".{self.paths.run}.deleted"))
            shutil.rmtree(aside.root, ignore_errors=True)  # what a deletion that was cut off left
            self.paths.root.rename(aside.root)
            for file in (aside.events, aside.spec):  # by which it counts as a run
                file.unlink(missing_ok=True)
            shutil.rmtree(aside.root)
        forget(self.record.run, environ)
        forget_request(self.record.run, environ)


def deletion_of(record: RunRecord) -> Deletion:
    """What deleting the run would remove; nothing is removed.

    Raises:
        UsageError: the run goes on, or has a tag.
        NotFound: its directory is out of sight here.
        OSError: its storage does not answer.
    """
    _refuse_living(record)
    tags = tags_of(record)
    if tags:
        names = " and ".join(f"{tag.name}:{tag.tag}" for tag in tags)
        fix = f"raytrain tag {record.run} {tags[0].tag} --remove"
        raise UsageError(Problem(got=f"run {record.run}, tagged {names}", expected="a run without a tag", fix=fix))
    paths = directory_of(record)
    if paths is not None and paths.uri is None and not os.path.isdir(paths.root):
        if not os.path.isdir(paths.root.parent):
            got = f"run {record.run}, whose directory {paths.root} is not in sight here"
            raise NotFound(Problem(got=got, expected="storage that this machine sees", fix="--storage names it"))
        paths = None  # it is gone already
    sizes = list(_sizes(paths)) if paths else []
    return Deletion(record=record, paths=paths, files=len(sizes), bytes=sum(sizes))


def beyond(keep: int, *, name: str | None = None, storage: str | None = None) -> list[Deletion]:
    """What a retention of so many runs a job would delete: of each job all that have ended but the newest `keep`.

    Runs that go on, and those with a tag, stay, and are not counted.

    Args:
        name: of this job alone.
        storage: the runs of this directory, instead of those that this machine remembers.

    Raises:
        UsageError: `keep` is no number of runs.
        NotFound: there is no such storage.
    """
    if keep < 0:
        raise UsageError(Problem(got=f"--keep {keep}", expected="a number of runs, 0 or more"))
    found: list[Deletion] = []
    kept: dict[str, int] = {}
    for row in _ended(list_runs(name=name, storage=storage).rows):
        job = row.record.name or row.stored.name or row.record.run
        with contextlib.suppress(UsageError, NotFound, OSError):
            deletion = deletion_of(row.record)
            kept[job] = kept.get(job, 0) + 1
            if kept[job] > keep:
                found.append(deletion)
    return found


def _ended(rows: Iterable[RunRow]) -> Iterator[RunRow]:
    return (row for row in rows if row.state.status.is_terminal)


def _refuse_living(record: RunRecord) -> None:
    """Also where its last line is written, but its driver has not ended yet.

    Raises:
        UsageError: the run goes on.
    """
    summary = RunView(record).look()
    is_unknown, paths = summary.status is RunStatus.UNKNOWN, directory_of(record)
    if not (summary.status.is_terminal or is_unknown):
        raise goes_on(record.run, f"which is {summary.status}")
    if is_unknown and paths is not None and os.path.isdir(paths.root) and not read_leases(paths):
        raise goes_on(record.run, "which may go on: neither its cluster nor a lease tells that it has ended")
    next_attempt(record, submitted=record.attempt, seen=summary.attempts)


def _sizes(paths: RunPaths) -> Iterator[int]:
    if paths.uri is not None:
        yield from ObjectStore(paths.uri).sizes()
        return
    for folder, _, names in os.walk(paths.root):
        for name in names:
            with contextlib.suppress(OSError):
                yield (Path(folder) / name).lstat().st_size
