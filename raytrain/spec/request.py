"""What the client hands the driver: the resolved job and how it was submitted, one JSON file in the upload."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from raytrain.spec.job import JobSpec
from raytrain.spec.peek.saved_model import suffix_of
from raytrain.spec.pydantic_bases import StrictModel

REQUEST_FILE = ".raytrain/job.json"
_BASE_MODEL_FILE = ".raytrain/base"


class StoredRun(StrictModel):
    """A run, and the directory that holds its own, as the cluster sees it."""

    run: str
    storage: str


class JobRequest(StrictModel):
    """The content of `REQUEST_FILE` in the job's working directory on the cluster.

    Attributes:
        task: what the cluster is asked to do.
        last_by_user: the last attempt that a user submitted; a command that waited submitted those after it.
        submitted_at: when the user's command began, seconds since the epoch.
        storage: the directory that holds all runs, as the cluster sees it; `~` is the cluster's.
        base_model: path, relative to the working directory, of the uploaded model that `init_from`,
            `model.file` or `model.run` names; null when none does.
        initialised_from: the run, or the file as it was named, that this model is of.
        extended_from: the run whose whole state this one begins with.
        fast_dev_run: one batch of each split is all that is read; the run is deleted when it has ended.
        overrides: the `--set` arguments that the spec has taken in, for a later attempt to apply again.
        spec_file: the name of the spec in the job's folder; empty when it came from standard input.
        files: what else the folder held: for each file uploaded, the beginning of its SHA-256.
        commit: of the job's folder, in git's words; null when it is in no checkout, or an earlier version sent it.
        client: versions on the submitting machine: `raytrain`, `python`, `ray` (null when Ray is not installed).
    """

    schema_version: int = 1
    task: Literal["train"] = "train"
    run: str
    attempt: int = Field(ge=1)
    last_by_user: int = Field(default=1, ge=1)
    submitted_at: float
    spec: JobSpec
    storage: str
    base_model: str | None = None
    initialised_from: str | None = None
    extended_from: StoredRun | None = None
    fast_dev_run: bool = False
    dashboard_url: str = ""
    overrides: list[str] = Field(default_factory=list)
    spec_file: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    client: dict[str, str | None] = Field(default_factory=dict)


def base_model_file(path: Path) -> str:
    """Where a base model lies in the job's working directory; Keras tells by the suffix how to read it."""
    return f"{_BASE_MODEL_FILE}{suffix_of(path)}"
