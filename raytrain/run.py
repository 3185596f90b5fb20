"""What a run is: its id, its status and reason, and every path of its directory."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from raytrain.object_store import is_object_store, join

# What the folders of processes' own copies of runs in object stores begin with.
COPIES = "raytrain-run-"
RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MINTED = re.compile(r"[a-z0-9][a-z0-9_-]*-\d{8}-\d{4}-[0-9a-f]{4}")
_SUBMISSION_ID = re.compile(r"(?P<run>[a-z0-9][a-z0-9_-]*?)(?:-a(?P<attempt>[2-9]|[1-9][0-9]+))?")


class RunStatus(StrEnum):
    """Where a run stands, in Ray's words; QUEUED and RETRYING while raytrain itself holds it."""

    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.STOPPED)

    @classmethod
    def of(cls, word: str) -> RunStatus:
        """The status that a run's log names; UNKNOWN where a later version has a word that this one does not know."""
        return cls(word) if word in list(cls) else cls.UNKNOWN


class Reason(StrEnum):
    """Why a run has its status."""

    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopped"
    TARGET_REACHED = "target_reached"
    TIME_LIMIT = "time_limit"
    STOPPED_BY_CALLBACK = "stopped_by_callback"
    STOPPED_BY_USER = "stopped_by_user"
    DIVERGED = "diverged"
    WORKER_LOST = "worker_lost"
    HUNG = "hung"
    PREEMPTED = "preempted"
    DRIVER_LOST = "driver_lost"
    USER_CODE = "user_code"
    SPEC_REFUSED = "spec_refused"
    RESOURCES = "resources"
    STORAGE = "storage"
    ENVIRONMENT = "environment"
    INTERNAL = "internal"


def mint_run_id(name: str, *, now: datetime, token: str | None = None) -> str:
    """The id of a new run of job `name`: `digits-20261120-0715-4f2a`.

    It is Ray's `submission_id` of the first attempt, the directory's name, and the label on every metric.
    """
    return f"{name}-{now:%Y%m%d-%H%M}-{token or secrets.token_hex(2)}"


def parse_run_id(run: str) -> tuple[str, datetime] | None:
    """The job's name and the minute of submission that a minted id names; None where it is none."""
    if not _MINTED.fullmatch(run):
        return None
    name, day, minute, _ = run.rsplit("-", 3)
    try:
        return name, datetime.strptime(f"{day}{minute}", "%Y%m%d%H%M")
    except ValueError:
        return None


def submission_id(run: str, attempt: int) -> str:
    """Ray's `submission_id` of an attempt: `<run>` for the first, `<run>-a2`, `<run>-a3`, … later."""
    return run if attempt == 1 else f"{run}-a{attempt}"


def parse_submission_id(text: str) -> tuple[str, int]:
    """The run and the attempt that a `submission_id` of ours names."""
    match = _SUBMISSION_ID.fullmatch(text)
    if match is None or _MINTED.fullmatch(text):  # a token such as `a234` is no attempt
        return text, 1
    return match["run"], int(match["attempt"] or 1)


@dataclass(frozen=True)
class RunPaths:
    """Every path of a run's directory `<storage>/<run>`; nobody else builds one.

    Attributes:
        uri: of the directory, where it is in an object store; `root` is then a copy on this machine.
    """

    root: Path
    uri: str | None = None

    @classmethod
    def of(cls, storage: str | Path, run: str) -> RunPaths:
        """The directory as a reader sees it; of one in an object store, where its copy belongs."""
        if is_object_store(str(storage)):
            uri = join(str(storage), run)
            return cls(_copies() / hashlib.sha256(uri.encode()).hexdigest()[:12] / run, uri)
        return cls(Path(storage).expanduser() / run)

    @classmethod
    def to_write(cls, storage: str | Path, run: str) -> RunPaths:
        """The directory as one process writes it; of one in an object store, a new copy of the process's own."""
        if is_object_store(str(storage)):
            return cls(Path(tempfile.mkdtemp(prefix=COPIES)) / run, join(str(storage), run))
        return cls.of(storage, run)

    def shown(self, path: Path | None = None) -> str:
        """How a file of the directory, or the directory itself, is told to people and programs."""
        path = path or self.root
        if self.uri is None or not path.is_relative_to(self.root):
            return str(path)
        return join(self.uri, *path.relative_to(self.root).parts)

    @property
    def run(self) -> str:
        return self.root.name

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def request(self) -> Path:
        """The `JobRequest` of the last attempt: how the run was submitted."""
        return self.root / "request.json"

    @property
    def package(self) -> Path:
        """The job's folder as it was uploaded, so that a run can be resumed where that folder is gone."""
        return self.root / "job.zip"

    @property
    def stop_now(self) -> Path:
        """Made by `raytrain stop --now`; the driver looks for it once it is told to stop."""
        return self.root / ".stop-now"

    @property
    def leases(self) -> Path:
        """One file an attempt, see `raytrain.events.lease`."""
        return self.root / "attempts"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def model(self) -> Path:
        return self.root / "model.keras"

    @property
    def weights(self) -> Path:
        """Stands in for `model` where Keras cannot save the model whole."""
        return self.root / "model.weights.h5"

    @property
    def preprocessing(self) -> Path:
        """What the preprocessing steps learned from the train rows."""
        return self.root / "preprocessing.json"

    @property
    def summary(self) -> Path:
        return self.root / "summary.txt"

    @property
    def curves(self) -> Path:
        return self.root / "curves.png"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def code(self) -> Path:
        """A copy of the user's own files, so that the saved model can be loaded later."""
        return self.root / "code"

    def attempt_logs(self, attempt: int) -> Path:
        return self.logs / f"attempt-{attempt}"

    def stacks(self, attempt: int, group: int) -> Path:
        """The stacks of all ranks of a worker group that hung."""
        return self.attempt_logs(attempt) / f"stacks-{group}.txt"

    def driver_log(self, attempt: int) -> Path:
        return self.attempt_logs(attempt) / "driver.log"

    def rank_log(self, attempt: int, rank: int) -> Path:
        return self.attempt_logs(attempt) / f"rank-{rank}.log"


def _copies() -> Path:
    """Where this machine keeps what it has read of runs in object stores."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache).expanduser() if cache else Path.home() / ".cache") / "raytrain" / "runs"
