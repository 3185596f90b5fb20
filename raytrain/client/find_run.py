"""Finds the run that a user means: by its id, by a beginning of it, as `@last`, or by its directory."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raytrain.client.pulled_files import runs_of_store
from raytrain.client.registry import RunRecord, newest, remembered
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterError, NotFound, Problem, UsageError
from raytrain.run.object_store import is_object_store, split
from raytrain.run.run_id import parse_run_id, parse_submission_id
from raytrain.run.run_paths import RunPaths

LAST = "@last"
_MOST_CANDIDATES = 10


def find_run(
    ref: str,
    *,
    environ: Mapping[str, str] | None = None,
    on_cluster: Callable[[], Iterable[RunRecord]] | None = None,
    storage: str | None = None,
) -> RunRecord:
    """The run that `ref` names: asked of this machine's index, then the cluster, then a storage directory.

    Args:
        ref: a run's id, an unambiguous beginning of it, `@last`, or the path of a run's directory.
        environ: tells where the index is.
        on_cluster: lists the cluster's runs; called only when the index does not know the run. A cluster that cannot
            be asked counts as one that does not know it.
        storage: a directory of runs to look in.

    Raises:
        UsageError: several runs begin so, or `ref` is empty.
        NotFound: no run is named so; names the nearest. Or there is no such storage.
    """
    if not ref.strip():  # every id begins with it, and it is the path of the current folder
        expected = "a run's id, a beginning of it, @last, or its directory"
        fix = "a shell variable that is not set is empty"
        raise UsageError(Problem(got="an empty name of a run", expected=expected, fix=fix))
    if storage and not is_object_store(storage):
        _path_of(storage)
    if ref == LAST:
        return _last(newest(1, environ)[0])
    if (directory := _directory(ref)) is not None:
        return directory
    sources: list[Callable[[], Iterable[RunRecord]]] = [lambda: remembered(environ)]
    if on_cluster is not None:
        sources.append(on_cluster)
    if storage:
        sources.append(lambda: runs_in(storage))
    names: list[str] = []
    unanswered = ""
    for source in sources:
        try:
            records = list(source())
        except ClusterError as error:
            unanswered = str(error)
            continue
        if (found := _match(ref, records)) is not None:
            return found
        names += [record.run for record in records]
    raise _not_found(ref, names, unanswered)


def latest_attempt(run: str, jobs: Iterable[JobInfo]) -> int:
    """The last attempt of a run among a cluster's jobs; 1 where there is none."""
    attempts = (parse_submission_id(job.submission_id)[1] for job in jobs if job.metadata.get("raytrain_run") == run)
    return max(attempts, default=1)


def runs_of_jobs(jobs: Iterable[JobInfo], address: str) -> list[RunRecord]:
    """The runs among a cluster's jobs, told by their metadata; of a further attempt only its number counts."""
    jobs = list(jobs)
    records: dict[str, RunRecord] = {}
    for job in jobs:
        run = job.metadata.get("raytrain_run") or ""
        if not run:
            continue
        records.setdefault(
            run,
            RunRecord(
                run=run,
                name=job.metadata.get("job_name", ""),
                address=address,
                storage=job.metadata.get("storage", ""),
                submitted_at=job.start_time or 0.0,
                attempt=latest_attempt(run, jobs),
            ),
        )
    return list(records.values())


def runs_in(storage: str) -> list[RunRecord]:
    """The runs whose directories lie in `storage`, the latest last.

    Raises:
        NotFound: there is no such directory, it may not be listed, or the object store does not answer.
    """
    if is_object_store(storage):
        return _runs_in_store(storage)
    root = _path_of(storage)
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


def _last(known: Sequence[RunRecord]) -> RunRecord:
    if known:
        return known[-1]
    raise NotFound(
        Problem(
            got=f"{LAST}, and no run was submitted from this machine yet",
            expected="a run",
            fix="name the run, or its directory",
        )
    )


def _directory(ref: str) -> RunRecord | None:
    """The run of a directory, also of one in an object store; None where `ref` is neither path nor URI."""
    if is_object_store(ref):
        return _directory_in_store(ref)
    path = _path_of(ref)
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


def _path_of(name: str) -> Path:
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
    try:
        with RunPaths(folder).events.open() as events:
            first = json.loads(events.readline())
        name, submitted_at = str(first.get("name", "")), float(first.get("submitted_at", 0.0))
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    return RunRecord(run=folder.name, name=name, storage=str(folder.parent), submitted_at=submitted_at)


def _match(ref: str, records: Sequence[RunRecord]) -> RunRecord | None:
    run, _ = parse_submission_id(ref)
    exact = {record.run: record for record in records}
    if ref in exact or run in exact:
        return exact.get(ref) or exact[run]
    candidates = [record for record in records if record.run.startswith(ref)]
    if len(candidates) > 1:
        latest = ", ".join(record.run for record in reversed(candidates[-_MOST_CANDIDATES:]))
        more = f" and {len(candidates) - _MOST_CANDIDATES} more" if len(candidates) > _MOST_CANDIDATES else ""
        raise UsageError(
            Problem(
                got=f"{ref}, with which {len(candidates)} runs begin: {latest}{more}",
                expected="the beginning of one run's id",
                fix=f"add letters; {LAST} is the run submitted last",
            )
        )
    return candidates[0] if candidates else None


def _not_found(ref: str, names: Sequence[str], unanswered: str) -> NotFound:
    near = difflib.get_close_matches(ref, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "raytrain list shows the runs"
    also = f"; the cluster could not be asked: {unanswered}" if unanswered else ""
    return NotFound(
        Problem(got=f"no run {ref}{also}", expected="a run's id, a beginning of it, @last, or its directory", fix=hint)
    )
