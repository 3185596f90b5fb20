"""A run in Python: how it stands, its metrics and logs, and what can be done with it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from raytrain.client.display.show import shown
from raytrain.client.kept_run import KeptRun
from raytrain.client.outcome import succeeded
from raytrain.client.registry import RunRecord, latest
from raytrain.client.run_directory import directory_of
from raytrain.client.run_view import RunView
from raytrain.client.takeover import Deadline, Takeover, follow
from raytrain.client.trained_run import TrainedRun
from raytrain.client.watch import Idle, StatusChange
from raytrain.errors import RaytrainError, RunError
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from raytrain.client.logs import LogLine
    from raytrain.client.read_job import Overrides
    from raytrain.client.report import WrittenReport


class Run(KeptRun, TrainedRun):
    """One submission of a job and all that becomes of it.

    Every question is asked anew, of the run's directory and, while it goes on, of its cluster; so one object may be
    used from several threads, and two objects of one run say the same.

    Attributes:
        id: such as `digits-20261120-0715-4f2a`.

    Example:
        >>> run = raytrain.get("@last")
        >>> run.summary().status
        <RunStatus.SUCCEEDED: 'SUCCEEDED'>
    """

    def __init__(self, record: RunRecord) -> None:
        self._known = record

    @property
    def id(self) -> str:
        return self._known.run

    @property
    def directory(self) -> str | None:
        """Where its files are; None where nobody knows."""
        paths = directory_of(self._known)
        return paths.shown() if paths else None

    @property
    def record(self) -> RunRecord:
        """Where the run is to be found, as the last attempt that this machine knows of."""
        return latest(self._known)

    def summary(self) -> RunSummary:
        """How the run stands now: what `raytrain status RUN --json` prints, as an object.

        Returns:
            `.status`, `.reason`, `.epochs`, `.last_metrics` and more; `.to_dict()` is the JSON. The status is UNKNOWN
            where the run has not ended and its cluster does not answer.

        Raises:
            ClusterError: only the cluster can tell, and may not be asked.

        Example:
            >>> sorted(raytrain.get("@last").summary().last_metrics)
            ['accuracy', 'loss', 'val_accuracy', 'val_loss']
        """
        return RunView(self.record).look()

    def metrics(self) -> pd.DataFrame:
        """The finished epochs, a row an epoch.

        Returns:
            Columns `epoch` (from 0), every metric of the model, pooled over all workers, `epoch_s` (seconds of the
            slowest worker), `rows_per_s`, `learning_rate` and `attempt`.

        Raises:
            ClusterError: as `summary`.

        Example:
            >>> raytrain.get("@last").metrics()[["epoch", "loss"]].shape
            (2, 2)
        """
        import pandas as pd

        from raytrain.client.metrics import RunMetrics

        return pd.DataFrame(RunMetrics.of(self.summary()).to_dict()["epochs"])

    def watch(self, *, timeout_s: float | None = None, progress: bool | None = None) -> Iterator[Event | StatusChange]:
        """Every event of the run from its first on, and every change of its status, until it ends.

        A run whose driver is lost is submitted again meanwhile, as often as its `restarts.driver` allows.

        Args:
            timeout_s: how many seconds to stay at most.
            progress: whether to draw progress beside it: in a notebook's cell when left out, not in a terminal.

        Raises:
            WaitTimedOut: the time has passed; the run goes on.
            StateUnknown: the run has not ended as far as is known, and nothing more can be learned.

        Example:
            >>> for event in raytrain.get("@last").watch():
            ...     if event.type == "epoch_end":
            ...         print(event.epoch)
            0
            1
        """
        view = RunView(self.record)
        for item in self._follow(view, timeout_s, progress, in_terminal=False):
            if isinstance(item, Event | StatusChange):
                yield item

    def wait(self, *, timeout_s: float | None = None, progress: bool | None = None) -> RunSummary:
        """Waits until the run has ended well; interrupting it leaves the run alone.

        Args:
            timeout_s: how many seconds to wait at most; without end when left out.
            progress: whether to show progress: as a table in a terminal and in a notebook's cell when left out, as
                lines elsewhere when True.

        Returns:
            The summary of a run that SUCCEEDED.

        Raises:
            RunFailed: with the user's own file and line first, and `.summary`, as all of these have.
            RunStopped: somebody stopped it; `resume` goes on with it.
            StateUnknown: its cluster is out of reach, and its directory does not say how it ended.
            WaitTimedOut: the time has passed; the run goes on.

        Example:
            >>> str(raytrain.get("@last").wait(timeout_s=600).reason)
            'completed'
        """
        view = RunView(self.record)
        for _ in self._follow(view, timeout_s, progress, in_terminal=True):
            pass
        return succeeded(view.summary)

    def _follow(
        self, view: RunView, timeout_s: float | None, progress: bool | None, *, in_terminal: bool
    ) -> Iterator[Event | StatusChange | Idle | Takeover]:
        items = follow(view, deadline=Deadline(self.id, timeout_s), resubmits=True)
        try:
            yield from shown(items, view, progress=progress, in_terminal=in_terminal)
        except RunError as error:
            raise error.of(view.summary) from error.__cause__

    def logs(
        self, *, rank: int | None = None, attempt: int | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """The lines of one log; `str(line)` is the text.

        Args:
            rank: of this worker, counted from 0; of the driver when left out.
            attempt: of this one, counted from 1; of the last when left out.
            tail: begin with so many lines at its end; with the first when left out.
            follow: go on until the run ends.

        Raises:
            NotFound: there is no such log.
            ClusterError: only the cluster has it, and does not answer.

        Example:
            >>> any("epoch 2/2" in str(line) for line in raytrain.get("@last").logs())
            True
        """
        from raytrain.client.logs import logs

        return logs(self.record, rank=rank, attempt=attempt, tail=tail, follow=follow)

    def stop(self, *, now: bool = False, wait: bool = True, timeout_s: float | None = None) -> RunSummary:
        """Stops the run: the workers finish their step and save a checkpoint, from which `resume` goes on.

        Args:
            now: kill the workers at once, without a checkpoint.
            wait: until it has stopped.
            timeout_s: how many seconds to wait at most.

        Returns:
            How the run stands then; one that had ended before is left as it is.

        Raises:
            NotFound, ClusterError: its cluster cannot be asked.
            WaitTimedOut: it was asked, and has not ended yet.

        Example:
            >>> raytrain.get("@last").stop().status
            <RunStatus.SUCCEEDED: 'SUCCEEDED'>
        """
        from raytrain.client.stop import stop

        view = RunView(self.record)
        if not view.look().status.is_terminal:
            for warning in stop(view.record, view.attempt, now=now):
                warnings.warn(warning, stacklevel=2)
            for _ in self._follow(view, timeout_s, False, in_terminal=False) if wait else ():
                pass
        return view.summary

    def resume(
        self,
        *,
        overrides: Overrides | None = None,
        job: str | None = None,
        force: bool = False,
        address: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Run:
        """Takes up a run that failed, was stopped or was lost, from its last checkpoint, as its next attempt.

        Args:
            overrides: fields to change, such as `{"fit.epochs": 20}`.
            job: where its job is now, if it has moved.
            force: take changes of code and spec as meant.
            address: of a cluster's dashboard to go on with; its own where that answers when left out.
            progress: told in a few words what is being done.

        Raises:
            UsageError: the run goes on, or has succeeded.
            SpecError: the job has changed in what decides its answer, or is refused.
            NotFound, ClusterError: as `submit`.

        Example:
            >>> raytrain.get("@last").resume()
            Traceback (most recent call last):
            raytrain.errors.UsageError: got …, which has SUCCEEDED, expected a run that was not done; …
        """
        from raytrain.client.read_job import as_arguments
        from raytrain.client.resume import resume

        changes = tuple(as_arguments(overrides or ()))
        again = resume(self.record, job=job, overrides=changes, force=force, address=address, progress=progress)
        for warning in again.warnings:
            warnings.warn(warning, stacklevel=2)
        return Run(again.record)

    def model(self) -> keras.Model:
        """The trained model, loaded from the run's directory with the classes of the job's own files.

        Raises:
            NotFound: the run has saved no model, or its directory is out of sight here.
            UserCodeError: Keras cannot load it.

        Example:
            >>> raytrain.get("@last").model().output_shape
            (None, 10)
        """
        from raytrain.client.trained_model import trained_model

        return trained_model(self._known)

    def report(self, file: str | os.PathLike[str] | None = None) -> WrittenReport:
        """Writes the run as one HTML file to keep, which needs no network.

        Args:
            file: where to; `RUN.html` in the current folder when left out.

        Raises:
            NotFound, UsageError: nothing of the run is in sight here, or the file cannot be written.

        Example:
            >>> raytrain.get("@last").report("~/run.html").file.name
            'run.html'
        """
        from raytrain.client.report import write_report

        return write_report(self.record, file)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self.id, self._known.storage) == (other.id, other._known.storage)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        from raytrain.client.display.run_phrases import in_one_line
        from raytrain.client.run_list import row_of

        return f"<{in_one_line(row_of(self.record))}>"

    def _repr_html_(self) -> str:
        from raytrain.client.display.html import run_html

        try:
            return run_html(self.summary())
        except RaytrainError as error:  # a notebook shows nothing at all of what raises
            return run_html(RunSummary(run=self.id, warnings=[str(error)]))
