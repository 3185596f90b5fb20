"""Tries a whole job with one batch of each split, on the cluster that it would go to, and removes what that leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raytrain import formatting
from raytrain.client.delete import deletion_of
from raytrain.client.run_view import RunView
from raytrain.client.submit import submit
from raytrain.client.takeover import Deadline, follow
from raytrain.errors import RaytrainError
from raytrain.run.run_status import RunStatus
from raytrain.run.summary import RunSummary

if TYPE_CHECKING:
    from raytrain.client.read_job import CheckedJob

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FastDevRun:
    """What came of a trial.

    Attributes:
        summary: of the run, whose directory is gone.
        kept: why its files could not be removed, and where they are; empty where nothing is left.
    """

    summary: RunSummary
    kept: str = ""

    @property
    def is_fine(self) -> bool:
        return self.summary.status is RunStatus.SUCCEEDED

    @property
    def lines(self) -> list[str]:
        """What was done, in words."""
        summary = self.summary
        rows = [f"{formatting.plural(rows, 'row')} of {split}" for split, rows in summary.rows.items() if rows]
        total = summary.to_dict()["timing"]["total_s"]
        took = f", {formatting.seconds(total)} in all" if total is not None else ""
        workers = formatting.plural(summary.workers or 1, "worker")
        if not self.is_fine:
            return [f"fast dev run of {summary.name}: {summary.status}{took}"]
        through = "read, preprocessed, trained on, evaluated, checkpointed and saved as a model"
        lines = [f"fast dev run of {summary.name}: {' and '.join(rows)} on {workers}{took}", f"  {through}"]
        figures = {**summary.last_metrics, **{f"test_{name}": value for name, value in (summary.test or {}).items()}}
        return [*lines, f"  {formatting.metrics(figures)}, which say nothing after one batch"]

    def to_dict(self) -> dict[str, Any]:
        """As `submit --fast-dev-run --json` prints it: the object of a run, without the paths that are gone."""
        gone = {} if self.kept else {"storage": None, "model": None}
        return {**self.summary.to_dict(), **gone, "fast_dev_run": True}


def fast_dev_run(
    job: CheckedJob,
    *,
    address: str | None = None,
    submitted_at: float | None = None,
    timeout_s: float | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> FastDevRun:
    """One batch of each split through everything that a run does: reading, training, evaluating, saving.

    Args:
        job: the job, read and checked.
        address: what `--address` was given.
        submitted_at: when the user's command began; now when left out.
        timeout_s: how long to wait at most.
        environ: this process's own environment when left out.
        progress: told in a few words what is being done.

    Raises:
        UsageError, SpecError, NotFound, ClusterError: as `submit`.
        WaitTimedOut, StateUnknown: its end was not seen; its files stay.
    """
    tell = progress or (lambda _: None)
    submitted = submit(
        job.loaded,
        address=address,
        overrides=job.overrides,
        fast_dev_run=True,
        submitted_at=submitted_at,
        environ=environ,
        progress=progress,
    )
    for warning in submitted.warnings:
        tell(f"warning: {warning}")
    tell(f"trying one batch of each split as {submitted.run}")
    view = RunView(submitted.record, submitted.begun)
    try:
        for _ in follow(view, deadline=Deadline(submitted.run, timeout_s)):
            pass
    except (KeyboardInterrupt, RaytrainError):
        tell(f"{submitted.run} goes on; raytrain delete {submitted.run} removes what it leaves once it has ended")
        raise
    found = FastDevRun(summary=view.summary)
    try:
        deletion_of(view.record).carry_out(environ)
    except (RaytrainError, OSError) as error:
        return replace(found, kept=f"{view.summary.storage} could not be removed: {error}")
    return found
