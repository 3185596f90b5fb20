"""Takes up a run that has ended or was lost: the same job, as its next attempt, from its last checkpoint.

The run keeps how it was submitted: in its directory, and on the machine that submitted it. What is submitted again is
the job's folder as it is now, where it still is, and else the copy in the run's directory. A job that has changed since
then in what decides its answer is refused, unless the change is meant.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain.client.pulled_files import pull_package
from raytrain.client.registry import RunRecord, remembered
from raytrain.client.upload.upload_plan import unfit
from raytrain.cluster.connect import connect_to
from raytrain.cluster.jobs_api import JobInfo
from raytrain.errors import ClusterError, NotFound, Problem, SpecError, StateUnknown, UsageError
from raytrain.files import state_dir, write_whole
from raytrain.run.lease import MISSES, Lease, read_leases, wait_until_over
from raytrain.run.run_id import parse_submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest

if TYPE_CHECKING:
    from raytrain.client.upload.upload_plan import UploadPlan
    from raytrain.spec.load import LoadedJob

# What a run may be resumed with at will: it changes how long or where the run goes on, not what it computes.
HARMLESS = ("fit.epochs", "fit.time_limit", "scaling", "checkpoint", "restarts", "watchdog", "storage", "environment")
_SHOWN_PROBLEMS = 10
# A driver has written the run's last line some seconds before Ray notices that its job is over.
_JOB_ENDS_WITHIN_S = 15.0
_LOOK_AGAIN_S = 0.5


def keep_request(request: JobRequest, environ: Mapping[str, str]) -> None:
    """Remembers how a run was submitted, for when its directory is out of this machine's sight."""
    path = _kept(request.run, environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, request.model_dump_json())


def submitted_request(record: RunRecord, environ: Mapping[str, str] | None = None) -> JobRequest:
    """How the run was submitted last.

    Raises:
        NotFound: neither its directory nor this machine has it.
    """
    places = [_kept(record.run, os.environ if environ is None else environ)]
    if record.storage:
        places.insert(0, RunPaths.of(record.storage, record.run).request)
    found: list[JobRequest] = []
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            found.append(JobRequest.model_validate_json(place.read_text()))
    if found:  # a driver that died before it wrote its own leaves that of the attempt before in the directory
        return max(found, key=attrgetter("attempt"))
    raise NotFound(
        Problem(
            got=f"no account of how {record.run} was submitted",
            expected=f"{places[0]}, which the run's driver writes",
            fix="--storage names the directory that holds the runs' directories",
        )
    )


def spec_file_of(job: LoadedJob) -> str:
    """The name of the job's spec in its folder; empty when it came from standard input."""
    name = Path(job.file).name
    return name if (job.folder / name).is_file() else ""


def fingerprint(plan: UploadPlan, spec_file: str) -> dict[str, str]:
    """The beginning of the SHA-256 of each file that is uploaded; not of the spec's, which is compared by field.

    Raises:
        SpecError: a file cannot be read any more.
    """
    digests = {}
    for file in plan.files:
        if file.path == spec_file:
            continue
        try:
            with file.source.open("rb") as content:
                digests[file.path] = hashlib.file_digest(content, "sha256").hexdigest()[:16]
        except OSError as error:
            raise SpecError(unfit(file.path, str(error.strerror))) from None
    return digests


@contextlib.contextmanager
def job_again(
    record: RunRecord, request: JobRequest, *, job: str | None, overrides: Sequence[str]
) -> Iterator[tuple[LoadedJob, Path | None]]:
    """The job to be submitted again; and, from the run's own copy, the model that it starts from, if there is one.

    Args:
        record: the run.
        request: how it was submitted last.
        job: where the job is now; where it was when left out.
        overrides: further `--set` arguments.

    Raises:
        UsageError: `job` is empty.
        NotFound: `job` is not there; or, where it is left out, the job's folder is gone, and the run's directory, which
            has a copy, is out of sight.
        SpecError: the job as it is now is refused.
    """
    from raytrain.spec.load import load_job

    storage = f"storage={json.dumps(request.storage)}"
    if job == "-":
        expected, fix = "the folder of the run's job, or its YAML file", "leave it out where the job has not moved"
        raise NotFound(Problem(got="-, which is no folder", expected=expected, fix=fix))
    if job is not None or os.path.exists(record.job):
        source = record.job if job is None else job
        yield load_job(source, overrides=[*request.overrides, *overrides, storage]), None
        return
    paths = RunPaths.of(record.storage, record.run)
    pull_package(paths)
    package = paths.package
    if not os.path.isfile(package):
        raise NotFound(
            Problem(
                got=f"no job of {record.run}: neither {record.job or 'its folder'} nor {package} is there",
                expected="the job's folder",
                fix="name it: raytrain resume RUN JOB",
            )
        )
    with tempfile.TemporaryDirectory(prefix="raytrain-resume-") as folder:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        spec = Path(folder) / (request.spec_file or ".raytrain.json")
        spec.write_text(request.spec.model_dump_json())  # JSON is YAML
        loaded = load_job(str(spec), overrides=[*overrides, storage])
        if not request.spec_file:
            spec.unlink()
        yield loaded, _kept_base_model(request, loaded, Path(folder))


def _kept_base_model(request: JobRequest, loaded: LoadedJob, folder: Path) -> Path | None:
    """The model that came with the job, where that still names the same one, which may have lain anywhere."""
    before, now = ((spec.init_from, spec.model.file, spec.model.run) for spec in (request.spec, loaded.spec))
    if request.base_model is None or before != now:
        return None
    kept = folder / request.base_model
    return kept if kept.is_file() else None


def changes(request: JobRequest, loaded: LoadedJob, files: Mapping[str, str]) -> list[Problem]:
    """What is not as it was when the run was submitted, of all that decides its answer."""
    fix = "put it back, or --force resumes with it as it is now"
    before, now = (_leaves(spec.model_dump(mode="json")) for spec in (request.spec, loaded.spec))
    fields = [name for name in {**before, **now} if before.get(name) != now.get(name) and not _is_harmless(name)]
    problems = [
        Problem(got=_shown(now.get(name)), expected=f"{_shown(before.get(name))}, as submitted", fix=fix, field=name)
        for name in fields
    ]
    for name in sorted({*request.files, *files}):
        was, is_now = request.files.get(name), files.get(name)
        if was != is_now:
            how = "a new file" if was is None else "no such file any more" if is_now is None else "a changed file"
            problems.append(Problem(got=how, expected="the file as submitted", fix=fix, file=name))
    return problems[:_SHOWN_PROBLEMS]


def next_attempt(record: RunRecord, request: JobRequest, seen: int) -> tuple[int, bool]:
    """The number of the run's next attempt, and whether the run's own cluster answers.

    Args:
        record: the run.
        request: how it was submitted last.
        seen: the last attempt that its log tells of.

    Raises:
        UsageError: an attempt goes on.
    """
    deadline = time.monotonic() + _JOB_ENDS_WITHIN_S
    jobs, answers = _jobs_of(record)
    while going := [job for job in jobs if not job.status.is_terminal]:
        last = max(going, key=_attempt_of)
        if time.monotonic() >= deadline or _attempt_of(last) > seen:  # of which no log has told that it is over
            raise _goes_on(record, f"its job {last.submission_id} is {last.status}")
        time.sleep(_LOOK_AGAIN_S)
        jobs, answers = _jobs_of(record)
    attempts = map(_attempt_of, jobs)
    leases = read_leases(RunPaths.of(record.storage, record.run)) if record.storage else []
    if leases:
        _refuse_living_driver(record, leases[-1])
    return max(seen, record.attempt, request.attempt, *attempts, *(lease.attempt for lease in leases)) + 1, answers


def _refuse_living_driver(record: RunRecord, lease: Lease) -> None:
    try:
        is_over = wait_until_over(RunPaths.of(record.storage, record.run), lease, renewals=MISSES)
    except OSError as error:
        got = f"{record.storage}, which does not say whether the driver of attempt {lease.attempt} lives: {error}"
        raise StateUnknown(Problem(got=got, expected="a storage that can be read")) from error
    if not is_over:
        raise _goes_on(record, f"the driver of attempt {lease.attempt} on {lease.host} renews its lease")


def later_attempt(record: RunRecord, attempt: int, environ: Mapping[str, str] | None = None) -> RunRecord | None:
    """The run as its last attempt, where that was submitted after `attempt`, by whichever command; else None."""
    known = max((record, *(item for item in remembered(environ) if item.run == record.run)), key=attrgetter("attempt"))
    jobs, _ = _jobs_of(known)
    leases = read_leases(RunPaths.of(record.storage, record.run)) if record.storage else []
    last = max(attempt, known.attempt, *map(_attempt_of, jobs), *(lease.attempt for lease in leases))
    return replace(record, address=known.address, attempt=last) if last > attempt else None


def refuse_changes(problems: Sequence[Problem], *, force: bool) -> None:
    """Raises SpecError where there are changes that nobody meant."""
    if problems and not force:
        raise SpecError(*problems, message="the job is not the one that the run was submitted with")


def overtaken(record: RunRecord, attempt: int) -> UsageError:
    """The attempt that was to be submitted is another command's."""
    return _goes_on(record, f"its attempt {attempt} was submitted by another command")


def _goes_on(record: RunRecord, why: str) -> UsageError:
    return UsageError(
        Problem(
            got=f"{record.run}, which goes on: {why}",
            expected="a run that has ended",
            fix=f"raytrain watch {record.run} follows it, raytrain stop {record.run} ends it",
        )
    )


def _jobs_of(record: RunRecord) -> tuple[list[JobInfo], bool]:
    """The run's jobs on the cluster that it was submitted to; none where that does not answer."""
    if not record.address:
        return [], False
    try:
        jobs = connect_to(record.address).jobs()
    except ClusterError:
        return [], False
    return [job for job in jobs if job.metadata.get("raytrain_run") == record.run], True


def _attempt_of(job: JobInfo) -> int:
    return parse_submission_id(job.submission_id)[1]


def _kept(run: str, environ: Mapping[str, str]) -> Path:
    return state_dir(environ) / "requests" / f"{run}.json"


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """A nested map as one flat map of dotted names; lists count as values."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        name: leaf for key, item in value.items() for name, leaf in _leaves(item, f"{path}.{key}".lstrip(".")).items()
    }


def _is_harmless(field: str) -> bool:
    return any(field == name or field.startswith(f"{name}.") for name in HARMLESS)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"
