"""Finds the run that a user means: by its id, a beginning of it, as `@last`, by its tag, or by its directory."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from raytrain.client.cluster_runs import runs_of_cluster
from raytrain.client.registry import RunRecord, newest, remembered
from raytrain.client.run_directory import refresh
from raytrain.client.stored_runs import path_of, recalled, run_of_directory, runs_in
from raytrain.client.tags import tagged
from raytrain.cluster.connect import locate
from raytrain.cluster.contexts import context_in_use
from raytrain.errors import ClusterError, NotFound, Problem, UsageError
from raytrain.run.object_store import is_object_store
from raytrain.run.run_id import parse_submission_id
from raytrain.run.run_paths import RunPaths

LAST = "@last"
_MOST_CANDIDATES = 10


def find(ref: str, *, address: str | None = None, storage: str | None = None, goes_on: bool = False) -> RunRecord:
    """The run that `ref` names: by this machine's index, then the cluster's jobs, then `--storage`.

    `--address` and `--storage` count before what the index remembers.

    Args:
        ref: what the user calls it.
        address: what `--address` was given.
        storage: what `--storage` was given.
        goes_on: `--address` is where the run is to go on; where it ran before is remembered, if that is known.

    Raises:
        NotFound: there is no such run.
        UsageError: several runs begin with `ref`, or it is empty.
    """
    context = context_in_use(os.environ)
    looked_in = storage or (context.storage if context else None)
    record = find_run(ref, on_cluster=lambda: runs_of_cluster(address), storage=looked_in)
    if not record.address:
        [record] = recalled([record])
    if address and not (goes_on and record.address):
        record = replace(record, address=locate(address).url)
    if storage and (is_object_store(storage) or os.path.isdir(RunPaths.of(storage, record.run).root)):
        record = replace(record, storage=storage)
    refresh(record)
    return record


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
        expected = "a run's id, a beginning of it, @last, NAME:TAG, or its directory"
        fix = "a shell variable that is not set is empty"
        raise UsageError(Problem(got="an empty name of a run", expected=expected, fix=fix))
    if storage and not is_object_store(storage):
        path_of(storage)
    if ref == LAST:
        return _last(newest(1, environ)[0])
    if (by_tag := tagged(ref, storage=storage, environ=environ)) is not None:
        return by_tag
    if (directory := run_of_directory(ref)) is not None:
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
        Problem(
            got=f"no run {ref}{also}",
            expected="a run's id, a beginning of it, @last, NAME:TAG, or its directory",
            fix=hint,
        )
    )
