"""Takes up a run that has ended or was lost: the same job, as its next attempt, from its last checkpoint.

What a user submits again is the job's folder as it is now, where it still is, and else the copy in the run's directory;
in the place of a lost driver it is that copy. A job that has changed since then in what decides its answer is refused,
unless the change is meant.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from raytrain.client.attempts import goes_on, next_attempt, overtaken
from raytrain.client.job_changes import changes, fingerprint, refuse_changes
from raytrain.client.kept_requests import submitted_request
from raytrain.client.read_job import job_file_of, spec_file_of
from raytrain.client.registry import RunRecord
from raytrain.client.run_directory import pull
from raytrain.client.run_view import RunView
from raytrain.client.submit import Progress, Submitted, prepare, submit
from raytrain.errors import NotFound, Problem, UsageError
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import RunStatus
from raytrain.spec.load import LoadedJob, load_job
from raytrain.spec.request import JobRequest


def resume(
    record: RunRecord,
    *,
    after: int | None = None,
    job: str | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    address: str | None = None,
    submitted_at: float | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Submitted:
    """Submits a run's next attempt to its own cluster where that answers, else where any job would go.

    Args:
        record: the run.
        after: submit the attempt after this one, which was lost, or none: no user asked for it, it is of the job as it
            was submitted, and counts in `restarts.driver`. When left out, the run must have ended, and whichever
            attempt is next is submitted.
        job: where its job is now; where it was when left out.
        overrides: further `--set` arguments.
        force: take changes of spec and code as meant.
        address: what `--address` was given.
        submitted_at: when the user's command began; now when left out.
        environ: this process's own environment when left out.
        progress: told in a few words what is being done.

    Raises:
        UsageError: the run goes on or has succeeded; or the attempt after `after` is there already.
        NotFound: how it was submitted, or its job, is nowhere to be found.
        SpecError: the job has changed, or is refused.
        ClusterError: as `submit`.
    """
    environ = os.environ if environ is None else environ
    seen = _last_that_ended(record) if after is None else after
    request = submitted_request(record, environ)
    attempt, answers = next_attempt(record, submitted=request.attempt, seen=seen)
    if after is not None and attempt > after + 1:
        raise overtaken(record, after + 1)
    again = job_again(record, request, job=job, overrides=overrides, as_submitted=after is not None)
    with again as (loaded, base_model, job_file):
        files = fingerprint(prepare(loaded, environ, base_model=base_model).plan, spec_file_of(loaded))
        refuse_changes(changes(request, loaded.spec, files), force=force)
        return submit(
            loaded,
            base_model=base_model,
            job_file=job_file,
            address=address or (record.address if answers else None),
            run=record.run,
            attempt=attempt,
            last_by_user=attempt if after is None else request.last_by_user,
            begun_at=record.submitted_at or None,
            extended_from=request.extended_from,
            initialised_from=request.initialised_from,
            overrides=[*request.overrides, *overrides],
            submitted_at=submitted_at,
            environ=environ,
            progress=progress,
        )


def _last_that_ended(record: RunRecord) -> int:
    """The attempt with which the run has ended, as far as is known.

    A run whose state cannot be known may be resumed: its lease keeps two drivers apart.
    """
    summary = RunView(record).look()
    run, status = record.run, summary.status
    if status is RunStatus.SUCCEEDED:
        fix = "init_from in a new job begins with its model"
        raise UsageError(Problem(got=f"{run}, which has SUCCEEDED", expected="a run that was not done", fix=fix))
    if not status.is_terminal and status is not RunStatus.UNKNOWN:
        raise goes_on(run, f"which is {status}")
    return summary.attempts


@contextlib.contextmanager
def job_again(
    record: RunRecord, request: JobRequest, *, job: str | None, overrides: Sequence[str], as_submitted: bool
) -> Iterator[tuple[LoadedJob, Path | None, str]]:
    """The job to be submitted again; from the run's own copy the model that it starts from, if any; and the job's file.

    Raises:
        UsageError: `job` is empty.
        NotFound: `job` is not there; or, where it is left out, the job's folder is gone, and the run's directory, which
            has a copy, is out of sight.
        SpecError: the job as it is now is refused.
    """
    storage = f"storage={json.dumps(request.storage)}"
    if job == "-":
        expected, fix = "the folder of the run's job, or its YAML file", "leave it out where the job has not moved"
        raise NotFound(Problem(got="-, which is no folder", expected=expected, fix=fix))
    package = _package(record) if job is None and (as_submitted or not os.path.exists(record.job)) else None
    if package is None:
        loaded = load_job(record.job if job is None else job, overrides=[*request.overrides, *overrides, storage])
        yield loaded, None, job_file_of(loaded)
        return
    with tempfile.TemporaryDirectory(prefix="raytrain-resume-") as folder:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        spec = Path(folder) / (request.spec_file or ".raytrain.json")
        spec.write_text(request.spec.model_dump_json())  # JSON is YAML
        loaded = load_job(str(spec), overrides=[*overrides, storage])
        if not request.spec_file:
            spec.unlink()
        yield loaded, _kept_base_model(request, loaded, Path(folder)), record.job


def _package(record: RunRecord) -> Path | None:
    """The run's own copy of its job's folder; None where only the folder is in sight."""
    paths = RunPaths.of(record.storage, record.run)
    pull(paths, paths.package)
    if os.path.isfile(paths.package):
        return paths.package
    if os.path.exists(record.job):
        return None
    raise NotFound(
        Problem(
            got=f"no job of {record.run}: neither {record.job or 'its folder'} nor {paths.package} is there",
            expected="the job's folder",
            fix="name it: raytrain resume RUN JOB",
        )
    )


def _kept_base_model(request: JobRequest, loaded: LoadedJob, folder: Path) -> Path | None:
    """The model that came with the job, where that still names the same one, which may have lain anywhere."""
    before, now = ((spec.init_from, spec.model.file, spec.model.run) for spec in (request.spec, loaded.spec))
    if request.base_model is None or before != now:
        return None
    kept = folder / request.base_model
    return kept if kept.is_file() else None
