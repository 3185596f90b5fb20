"""What is handed to Ray's Jobs API to start a run: a pure function of the job and where it goes.

Everything here can be read by whoever can reach the cluster: Ray shows entrypoint, metadata and environment variables
to any client of its API. So no secret travels in it; `env_vars` may name variables that the cluster has itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raytrain import __version__, doctor_protocol
from raytrain.errors import SpecError
from raytrain.run.run_id import submission_id
from raytrain.run.run_paths import RunPaths
from raytrain.spec.describe_job import data_words, model_words
from raytrain.spec.secret_checks import secret_problems
from raytrain.spec.task_requests import AnyRequest, EvaluateRequest, PredictRequest

if TYPE_CHECKING:
    from raytrain.spec.job import JobSpec
    from raytrain.spec.request import JobRequest

ENTRYPOINT = "python -m raytrain.driver"
FINGERPRINT = "raytrain_fingerprint"
# What is done with which finished run, and the output of a prediction.
TASK, TASK_OF, TASK_OUTPUT = "raytrain_task", "raytrain_task_of", "raytrain_output"

# A stopped driver gets this long to let its workers save and to write the run's last line; Ray's own default is 3 s.
STOP_WAIT_S = 600
_OUR_ENV = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
    "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),
}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One job as Ray's Jobs API takes it."""

    submission_id: str
    entrypoint: str
    runtime_env: dict[str, Any]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.metadata.get(FINGERPRINT, "")

    def to_json(self) -> dict[str, Any]:
        """The body of `POST /api/jobs/`."""
        return {
            "submission_id": self.submission_id,
            "entrypoint": self.entrypoint,
            "runtime_env": self.runtime_env,
            "metadata": self.metadata,
        }


def build_submission(
    request: JobRequest,
    *,
    working_dir_uri: str,
    raytrain_uri: str,
    bin_dir: str | None = None,
    commit: str | None = None,
    owner: str | None = None,
    board: str | None = None,
) -> Submission:
    """The submission of one attempt of a run.

    Args:
        request: the resolved job; the same that stands in the working directory.
        working_dir_uri: `gcs://…` of the uploaded job folder.
        raytrain_uri: `gcs://…` of the uploaded raytrain package.
        bin_dir: the folder of this process's `python`, where the cluster runs on this machine: a cluster started
            from an environment that was not activated finds its `python` there.
        commit, owner: the user's commit and the user, for people to read.
        board: where Grafana shows the run, where that is known.

    Raises:
        SpecError: a secret's value stands in the job, which `load_job` refuses too.
    """
    spec = request.spec
    if problems := secret_problems(spec):
        raise SpecError(*problems)
    runtime_env = _runtime_env(spec, working_dir_uri, raytrain_uri, bin_dir)
    return Submission(
        submission_id=submission_id(request.run, request.attempt),
        entrypoint=ENTRYPOINT,
        runtime_env=runtime_env,
        metadata=_metadata(request, commit, owner, board) | {FINGERPRINT: _fingerprint(request, runtime_env)},
    )


def build_task_submission(
    request: EvaluateRequest | PredictRequest,
    spec: JobSpec,
    *,
    working_dir_uri: str,
    raytrain_uri: str,
    bin_dir: str | None = None,
) -> Submission:
    """The submission of a task of a finished run, in the environment of its job; arguments as of `build_submission`.

    Its metadata do not name a run, whose jobs are its attempts.
    """
    runtime_env = _runtime_env(spec, working_dir_uri, raytrain_uri, bin_dir)
    metadata = {"job_name": spec.name, TASK: request.task, TASK_OF: request.run, "raytrain_version": __version__}
    if isinstance(request, PredictRequest):
        metadata[TASK_OUTPUT] = request.output
    return Submission(
        submission_id=request.submission_id,
        entrypoint=ENTRYPOINT,
        runtime_env=runtime_env,
        metadata=metadata | {FINGERPRINT: _fingerprint(request, runtime_env)},
    )


def build_probe_submission(
    name: str, *, storage: str | None, raytrain_uri: str, bin_dir: str | None = None
) -> Submission:
    """The submission of a look at the cluster itself; arguments as of `build_submission`."""
    env_vars = _OUR_ENV | {doctor_protocol.REQUEST: json.dumps({"storage": storage})}
    if bin_dir:
        env_vars["PATH"] = f"{bin_dir}:${{PATH}}"
    return Submission(
        submission_id=name,
        entrypoint=f"python -m {doctor_protocol.MODULE}",
        runtime_env={"py_modules": [raytrain_uri], "env_vars": env_vars},
        metadata={"job_name": "raytrain doctor", "raytrain_version": __version__, FINGERPRINT: name},
    )


def _runtime_env(spec: JobSpec, working_dir_uri: str, raytrain_uri: str, bin_dir: str | None) -> dict[str, Any]:
    env_vars = {**_OUR_ENV, **spec.environment.env_vars}
    if bin_dir:
        # Ray expands ${…} in the process that it starts, so this is the cluster's own PATH.
        env_vars["PATH"] = f"{bin_dir}:{spec.environment.env_vars.get('PATH', '${PATH}')}"
    runtime_env: dict[str, Any] = {
        "working_dir": working_dir_uri,
        "py_modules": [raytrain_uri],
        "env_vars": env_vars,
    }
    if spec.environment.pip:
        runtime_env["pip"] = list(spec.environment.pip)
    return runtime_env


def _metadata(request: JobRequest, commit: str | None, owner: str | None, board: str | None) -> dict[str, str]:
    """What the dashboard's Jobs page shows of a run; strings only, for people."""
    spec, paths = request.spec, RunPaths.of(request.storage, request.run)
    links = {"report": paths.shown(paths.root / "report.html"), **({"board": board} if board else {})}
    return {
        "job_name": spec.name,
        "raytrain_run": request.run,
        "raytrain_attempt": str(request.attempt),
        "workers": str(spec.scaling.workers),
        "resources_per_worker": _resources(spec),
        "model": model_words(spec),
        "data": data_words(spec),
        "epochs": str(spec.fit.epochs),
        "global_batch_size": str(spec.fit.global_batch_size),
        "storage": request.storage,
        "owner": owner or "unknown",
        "commit": commit or "none",
        "raytrain_version": __version__,
    } | links


def _resources(spec: JobSpec) -> str:
    scaling = spec.scaling
    amounts = {"CPU": scaling.cpus_per_worker, "GPU": scaling.gpus_per_worker, **scaling.resources_per_worker}
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items() if amount)


def _fingerprint(request: AnyRequest, runtime_env: Mapping[str, Any]) -> str:
    """The same for two sendings of one submission, and for no other: says whose a job under our id is."""
    text = request.model_dump_json() + json.dumps(runtime_env, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
