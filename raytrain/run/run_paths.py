"""Every path of a run's directory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from raytrain.run.object_store import is_object_store, join

# What the folders of processes' own copies of runs in object stores begin with.
COPIES = "raytrain-run-"


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
        """One file an attempt, see `raytrain.run.lease`."""
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
    def progress(self) -> Path:
        """How far the ranks are within the epoch, see `raytrain.run.step_progress`."""
        return self.root / "progress.json"

    @property
    def report(self) -> Path:
        """The run as a page; written anew while it goes on."""
        return self.root / "report.html"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def exports(self) -> Path:
        """The model in other formats, a folder each."""
        return self.root / "export"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def wandb(self) -> Path:
        return self.root / "wandb"

    @property
    def tracking(self) -> Path:
        """One file a tracker: how much of the log it has been told."""
        return self.root / "tracking"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def code(self) -> Path:
        """A copy of the user's own files, so that the saved model can be loaded later."""
        return self.root / "code"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions"

    def task(self, task: str, moment: str) -> Path:
        """What one evaluation or prediction of the run leaves behind, a folder of its own: no event, no status."""
        return {"evaluate": self.evaluations, "predict": self.predictions}[task] / moment

    def tracker(self, kind: str) -> Path:
        return self.tracking / f"{kind}.json"

    def attempt_logs(self, attempt: int) -> Path:
        return self.logs / f"attempt-{attempt}"

    def stacks(self, attempt: int, group: int) -> Path:
        """The stacks of all ranks of a worker group that hung."""
        return self.attempt_logs(attempt) / f"stacks-{group}.txt"

    def driver_log(self, attempt: int) -> Path:
        return self.attempt_logs(attempt) / "driver.log"

    def trackers_log(self, attempt: int) -> Path:
        """What the packages of the job's trackers print."""
        return self.attempt_logs(attempt) / "trackers.log"

    def rank_log(self, attempt: int, rank: int) -> Path:
        return self.attempt_logs(attempt) / f"rank-{rank}.log"


def _copies() -> Path:
    """Where this machine keeps what it has read of runs in object stores."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache).expanduser() if cache else Path.home() / ".cache") / "raytrain" / "runs"
