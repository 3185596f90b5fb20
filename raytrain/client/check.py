"""Trains a job's first rows with plain Keras and on several workers, on this machine and without a cluster."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain import formatting
from raytrain.check_protocol import (
    AGAIN,
    COMPARE,
    PLAIN,
    ROWS,
    CheckFolder,
    CheckRequest,
    Comparison,
    Verdict,
    rank_of,
    rank_role,
)
from raytrain.client.check_processes import CheckProcesses, Stopped
from raytrain.client.read_job import Overrides, read_job
from raytrain.client.submit import Upload, prepare
from raytrain.errors import Problem, SpecError, UsageError, UserCodeError
from raytrain.files import write_whole
from raytrain.spec.request import base_model_file

if TYPE_CHECKING:
    from raytrain.client.read_job import Job
    from raytrain.spec.job import JobSpec
    from raytrain.spec.load import LoadedJob

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What several workers came to beside plain Keras in one process.

    Attributes:
        file: the job's spec, as the user named it.
        warnings: what the user should know, though it need not change the answer.
    """

    name: str
    file: str
    workers: int
    comparison: Comparison
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`equal`, `differs` or `cannot_repeat`."""
        return self.comparison.verdict

    @property
    def is_equal(self) -> bool:
        return self.verdict is Verdict.EQUAL

    def to_dict(self) -> dict[str, Any]:
        """As `check --json` prints it; a `difference` is relative to the quantity's own size."""
        return {
            "schema_version": 1,
            "name": self.name,
            "workers": self.workers,
            "verdict": str(self.verdict),
            "largest": self.comparison.largest,
            **self.comparison.to_json(),
            "warnings": list(self.warnings),
        }


def check(
    job: Job | None,
    *,
    workers: int = 2,
    steps: int = 8,
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
    overrides: Overrides | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Holds several workers against plain Keras, for a few steps on the job's own first rows.

    All of it runs on this machine's CPUs, in processes of its own that end with the call; the job's folder is left as
    it is. Random draws and plain BatchNormalization, which depend on the number of workers, are set aside.

    Args:
        job, folder, fields, overrides: as for `read_job`.
        workers: how many are held against one process.
        steps: of training, validation and test each, at most.
        progress: told in a few words what is being done.

    Raises:
        SpecError: the job is refused, also for what only Keras knows: a name it does not have, shapes that do not fit.
        UserCodeError: the job's own code fails, crashes or hangs; with its file and line where there is one.
        NotFound: there is no such job, or no such run to start from.
    """
    if steps < 1:
        raise UsageError(Problem(got=f"{steps} steps", expected="at least one step"))
    checked = read_job(job, folder=folder, fields=fields, overrides=overrides, workers=workers)
    loaded, tell = checked.loaded, progress or (lambda _: None)
    parcel = prepare(loaded)
    with tempfile.TemporaryDirectory(prefix="raytrain-check-", ignore_cleanup_errors=True) as root:
        laid_out = CheckFolder(Path(root).resolve())
        _lay_out(laid_out, loaded.spec, parcel, steps)
        found = _compare(laid_out, loaded, tell)
    return CheckReport(
        name=loaded.spec.name,
        file=loaded.file,
        workers=workers,
        comparison=found,
        warnings=(*found.warnings, *_not_installed(loaded.spec)),
    )


def _lay_out(folder: CheckFolder, spec: JobSpec, parcel: Upload, steps: int) -> None:
    """The job's files as a cluster would have them, so that what the user's code writes is thrown away."""
    folder.job.mkdir()
    for file in parcel.plan.files:
        copy = folder.job / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.source, copy)
    base = base_model_file(parcel.base_model) if parcel.base_model else None
    if base and parcel.base_model:
        (folder.job / base).parent.mkdir(exist_ok=True)
        shutil.copy(parcel.base_model, folder.job / base)
    request = CheckRequest(spec=spec, steps=steps, base_model=base)
    write_whole(folder.request, request.model_dump_json())


def _compare(folder: CheckFolder, job: LoadedJob, tell: Progress) -> Comparison:
    spec = job.spec
    ranks = [rank_role(rank) for rank in range(spec.scaling.workers)]
    env_vars = {name: str(value) for name, value in spec.environment.env_vars.items()}
    with CheckProcesses(folder, env_vars=env_vars, silence_s=float(spec.watchdog.setup)) as processes:
        tried = formatting.plural(len(ranks), "worker")
        tell(f"training the first rows in one process and on {tried}; TensorFlow takes some seconds to start")
        processes.start([ROWS])
        processes.wait_until_reading(ROWS)
        processes.start([PLAIN, *ranks])
        stopped = processes.wait([ROWS, PLAIN, *ranks])
        if stopped and rank_of(stopped.role) is not None:
            processes.end(ranks)  # the others wait for this one
            stopped = processes.wait([ROWS, PLAIN]) or stopped
        if stopped:
            raise _error(stopped, job)
        processes.end(ranks)
        found = _told(processes, folder, job)
        if found.verdict is Verdict.DIFFERS:
            tell("it differs: training in one process once more, to see what rounding alone makes of it")
            processes.start([AGAIN])
            if processes.wait([AGAIN]) is None:
                found = _told(processes, folder, job)
        return found


def _told(processes: CheckProcesses, folder: CheckFolder, job: LoadedJob) -> Comparison:
    processes.start([COMPARE])
    if stopped := processes.wait([COMPARE]):
        raise _error(stopped, job)
    import json

    return Comparison.from_json(json.loads(folder.comparison.read_text()))


def _error(stopped: Stopped, job: LoadedJob) -> Exception:
    """What stopped a process, as the error that has its exit code: a job that is refused, code that fails, or a bug."""
    failure = stopped.failure
    if failure.internal:
        return RuntimeError(f"{failure.message}\n{failure.traceback}")
    problem = Problem(
        field=failure.field or "",
        got=failure.got or _raised(stopped),
        expected=failure.expected or _expected(stopped),
        fix=failure.fix or "",
        file=failure.file or "",
        line=failure.line or 0,
    )
    if problem.file or not problem.field:
        return UserCodeError(problem)
    return SpecError(job.lines.located(problem, problem.field))


def _raised(stopped: Stopped) -> str:
    failure = stopped.failure
    return failure.message if failure.kind in ("Crashed", "Hung") else f"{failure.kind}: {failure.message}"


def _expected(stopped: Stopped) -> str:
    if stopped.role == ROWS:
        return "rows that can be read on this machine"
    if rank_of(stopped.role) is None:
        return "code that plain Keras runs in one process"
    return f"code that each worker runs, as one process does ({stopped.role})"


def _not_installed(spec: JobSpec) -> list[str]:
    if not spec.environment.pip:
        return []
    return [f"environment.pip is installed on a cluster alone: here, {', '.join(spec.environment.pip)} is what it is"]
