"""Sends a job to a cluster: everything that can be refused is refused before anything is started or sent."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain import __version__
from raytrain.client.cluster_runs import dashboard_page
from raytrain.client.find_run import find_run
from raytrain.client.job_changes import fingerprint
from raytrain.client.kept_requests import keep_request
from raytrain.client.read_job import job_file_of, spec_file_of
from raytrain.client.registry import RunRecord, remember
from raytrain.client.run_state import Verdict, join
from raytrain.client.run_view import begun
from raytrain.client.upload.base_model import base_model_of
from raytrain.client.upload.git_commit import commit_of
from raytrain.client.upload.package import Package, pack_job, pack_raytrain
from raytrain.client.upload.upload_plan import UploadPlan, check_size, list_upload
from raytrain.client.where_stored import storage_for, stored_where_said
from raytrain.cluster.connect import Connection, connect
from raytrain.cluster.grafana import grafana_url
from raytrain.cluster.jobs_api import JobsApi
from raytrain.cluster.preflight import check_cluster, installed_ray, this_python
from raytrain.cluster.submission import build_submission
from raytrain.errors import SpecError
from raytrain.report.board import board_link
from raytrain.run.run_id import mint_run_id, submission_id
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary
from raytrain.spec.exclude import exclude_patterns
from raytrain.spec.few_rows import spec_of_trial
from raytrain.spec.request import REQUEST_FILE, JobRequest, StoredRun, base_model_file
from raytrain.spec.tracking import missing_packages

if TYPE_CHECKING:
    from raytrain.spec.load import LoadedJob

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A run that a cluster has taken.

    Attributes:
        record: how the run is remembered on this machine.
        warnings: what the user should know, though it did not stop the job.
        token_in: where the token is that the cluster asks for.
    """

    record: RunRecord
    request: JobRequest
    warnings: tuple[str, ...] = ()
    token_in: str | None = None

    @property
    def run(self) -> str:
        return self.record.run

    @property
    def dashboard(self) -> str:
        """Where the run is on the dashboard, and how to sign in."""
        sign_in = f" (it asks for the token in {self.token_in})" if self.token_in else ""
        return f"{self.request.dashboard_url}{sign_in}"

    @property
    def begun(self) -> RunSummary:
        """What is known of the run without a word of its log."""
        summary, spec = begun(self.record), self.request.spec
        summary.workers = spec.scaling.workers
        summary.global_batch_size = spec.fit.global_batch_size
        summary.epochs_planned = spec.fit.epochs
        return summary

    @property
    def summary(self) -> RunSummary:
        """How the run stands when the cluster has just taken it."""
        return join(self.begun, Verdict(status=RunStatus.PENDING), attempt=self.record.attempt)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What of a job travels: the files of its folder and the model it starts from.

    Attributes:
        initialised_from: the run, or the file as the job names it, that this model is of.
    """

    plan: UploadPlan
    base_model: Path | None
    initialised_from: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `plan --json` prints it."""
        return {
            "files": len(self.plan.files),
            "bytes": self.plan.bytes,
            "largest": [{"path": file.path, "bytes": file.bytes} for file in self.plan.largest],
            "base_model": str(self.base_model) if self.base_model else None,
        }


def prepare(job: LoadedJob, environ: Mapping[str, str] | None = None, *, base_model: Path | None = None) -> Upload:
    """What would be uploaded, checked; no cluster is asked. Also the part of `raytrain plan` that concerns it.

    Args:
        job: the job, read and checked.
        environ: this process's own environment when left out.
        base_model: the model it starts from; looked for where the spec says when left out.

    Raises:
        SpecError, NotFound, UploadTooLarge: as `list_upload`, `base_model_of` and `check_size` say.
    """
    spec = job.spec
    origin = spec.init_from or spec.model.run or spec.model.file

    def find(ref: str) -> RunRecord:
        nonlocal origin
        record = find_run(ref, environ=environ)
        origin = record.run
        return record

    base_model = base_model or base_model_of(spec, job.folder, find)
    plan = list_upload(job.folder, exclude_patterns(spec, job.folder))
    check_size(plan, more_bytes=base_model.stat().st_size if base_model else 0)
    return Upload(plan=plan, base_model=base_model, initialised_from=origin)


def submit(
    job: LoadedJob,
    *,
    base_model: Path | None = None,
    job_file: str | None = None,
    address: str | None = None,
    run: str | None = None,
    attempt: int = 1,
    last_by_user: int | None = None,
    begun_at: float | None = None,
    extended_from: StoredRun | None = None,
    initialised_from: str | None = None,
    fast_dev_run: bool = False,
    overrides: Sequence[str] = (),
    submitted_at: float | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Submitted:
    """Sends a job to its cluster, started first where there is none, and returns once the cluster has taken it.

    Args:
        job: the job, read and checked.
        base_model: as in `prepare`.
        job_file: by which the run is remembered as one of its job; the job's own when left out.
        address: what `--address` was given.
        run: the run's id, when this is a further attempt of one.
        attempt: counted from 1.
        last_by_user: the last attempt that a user submitted; this one when left out.
        begun_at: when the first attempt was submitted, where this is not the first.
        extended_from: the run whose whole state it begins with.
        initialised_from: the run or file that `base_model` is of, where that is known; found anew when left out.
        fast_dev_run: one batch of each split is all that is read.
        overrides: the `--set` arguments that `job` has taken in, which a later attempt is to apply again.
        submitted_at: when the user's command began, seconds since the epoch; now when left out.
        environ: this process's own environment when left out.
        progress: told in a few words what is being done.

    Raises:
        UsageError, SpecError, NotFound, ClusterError: as the steps say; nothing runs then.
    """
    environ = os.environ if environ is None else environ
    tell = progress or (lambda _: None)
    submitted_at = time.time() if submitted_at is None else submitted_at
    job = replace(job, spec=spec_of_trial(job.spec)) if fast_dev_run else job
    parcel = prepare(job, environ, base_model=base_model)
    connection = connect(address, environ=environ, progress=progress)
    tell(f"using {connection.address.url} ({connection.address.source})")
    job = replace(job, spec=stored_where_said(job.spec, connection.address))
    warnings = check_cluster(connection.api, job.spec.scaling, environ, is_local=connection.is_ours)
    if connection.shares_this_machine and (lacking := missing_packages(job.spec.tracking, job.spec.environment.pip)):
        raise SpecError(*lacking)
    run = run or mint_run_id(job.spec.name, now=datetime.fromtimestamp(submitted_at))
    request = _request(job, connection, run, attempt, last_by_user or attempt, submitted_at, parcel, overrides)
    origin = initialised_from or parcel.initialised_from
    beside = {"extended_from": extended_from, "initialised_from": origin, "fast_dev_run": fast_dev_run}
    request = request.model_copy(update=beside)
    _send(job, connection, request, parcel, tell, grafana_url(connection.address.url, environ))
    record = RunRecord(
        run=request.run,
        name=job.spec.name,
        address=connection.address.url,
        storage=request.storage,
        submitted_at=begun_at or submitted_at,
        job=job_file_of(job) if job_file is None else job_file,
        attempt=attempt,
    )
    warnings += _keep(record, request, environ)
    return Submitted(record=record, request=request, warnings=warnings, token_in=connection.token_in)


def _request(
    job: LoadedJob,
    connection: Connection,
    run: str,
    attempt: int,
    last_by_user: int,
    submitted_at: float,
    parcel: Upload,
    overrides: Sequence[str],
) -> JobRequest:
    return JobRequest(
        run=run,
        attempt=attempt,
        last_by_user=last_by_user,
        submitted_at=submitted_at,
        spec=job.spec,
        storage=storage_for(job.spec.storage, job.folder, shares_this_machine=connection.shares_this_machine),
        base_model=base_model_file(parcel.base_model) if parcel.base_model else None,
        dashboard_url=dashboard_page(connection.address.url, submission_id(run, attempt)),
        overrides=list(overrides),
        spec_file=spec_file_of(job),
        files=fingerprint(parcel.plan, spec_file_of(job)),
        commit=commit_of(job.folder),
        client={"raytrain": __version__, "python": this_python(), "ray": installed_ray()},
    )


def _send(
    job: LoadedJob, connection: Connection, request: JobRequest, parcel: Upload, tell: Progress, grafana: str | None
) -> None:
    extra = [(REQUEST_FILE, request.model_dump_json(indent=2).encode())]
    if parcel.base_model:
        extra.append((base_model_file(parcel.base_model), parcel.base_model.read_bytes()))
    ourselves, folder = pack_raytrain(), pack_job(parcel.plan, extra)
    submission = build_submission(
        request,
        working_dir_uri=folder.uri,
        raytrain_uri=ourselves.uri,
        bin_dir=str(Path(sys.executable).parent) if connection.shares_this_machine else None,
        commit=request.commit,
        owner=_user(),
        board=board_link(grafana, request.run) if grafana else None,
    )
    tell(f"uploading {len(parcel.plan.files)} files, {len(folder.content) / 1024:,.0f} KiB")
    for package in (ourselves, folder):
        upload_package(connection.api, package)
    tell(f"submitting {submission.submission_id}")
    connection.api.submit(submission)


def _user() -> str | None:
    """Who submits, by the name of the account here; None where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def _keep(record: RunRecord, request: JobRequest, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Remembers a run on this machine; the cluster has it already, so where that fails there is only a warning."""
    try:
        warnings = remember(record, environ)
        keep_request(request, environ)
    except OSError as error:
        where = f"--address {record.address} --storage {record.storage}"
        why = f"cannot be remembered on this machine ({error}): give later commands its whole id with {where}"
        return (f"{record.run} was submitted, but {why}",)
    return warnings


def upload_package(api: JobsApi, package: Package) -> None:
    """Hands a package over, where the cluster has it not already."""
    if not api.package_exists(package.uri):
        api.upload_package(package.uri, package.content)
