"""What `import raytrain` offers beside the classes: the command line's verbs as functions.

Each imports what it needs when it is called: `import raytrain` costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytrain.client.check import CheckReport
    from raytrain.client.plan import Plan
    from raytrain.client.read_job import Job, Overrides
    from raytrain.client.run import Run
    from raytrain.client.runs import Runs
    from raytrain.client.validate import Validation

Path = str | os.PathLike[str]


def submit(
    job: Job | None = None,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    name: str | None = None,
    storage: Path | None = None,
    address: str | None = None,
    overrides: Overrides | None = None,
    progress: Callable[[str], None] | None = None,
    **fields: Any,
) -> Run:
    """Trains a job on a Ray cluster; returns as soon as the cluster has it.

    Where it goes: `address`, else RAYTRAIN_ADDRESS, RAY_API_SERVER_ADDRESS, RAY_ADDRESS, a cluster running on this
    machine, else a local cluster that is started and stays up until `raytrain.down()`.

    Args:
        job: a folder with a job.yaml, a YAML file, or a `JobSpec`; or leave it out and give its fields by their names:
            `model={…}, data={…}, fit={…}`.
        folder: of a job that is said in Python: what its paths are relative to, and whose files are uploaded. The
            current folder when left out.
        workers, name, storage: stand for the fields `scaling.workers`, `name` and `storage`.
        address: Ray's dashboard, `http://HOST:8265`.
        overrides: fields to change, `{"fit.epochs": 3}` or `["fit.epochs=3"]`.
        progress: told in a few words what is being done, such as `print`.
        fields: the job's own, as in a job.yaml.

    Raises:
        SpecError: the job is refused, all problems at once; nothing was started or sent.
        NotFound: there is no such file, or no such run or model to start from.
        UsageError: the job is said twice or not at all, or the address cannot be one.
        ClusterError: the cluster does not answer, runs another version, or has not the resources.

    Example:
        >>> run = raytrain.submit("jobs/digits", workers=2, overrides={"fit.epochs": 2})
        >>> summary = run.wait()
        >>> len(summary.epochs), str(summary.status)
        (2, 'SUCCEEDED')
    """
    import warnings

    from raytrain.client.read_job import read_job
    from raytrain.client.run import Run
    from raytrain.client.submit import submit

    checked = read_job(
        job, folder=folder, fields=fields, overrides=overrides, name=name, workers=workers, storage=storage
    )
    done = submit(checked.loaded, address=address, overrides=checked.overrides, progress=progress)
    for warning in done.warnings:
        warnings.warn(warning, stacklevel=2)
    return Run(done.record)


def plan(
    job: Job | None = None,
    *,
    folder: Path | None = None,
    workers: int | Sequence[int] | None = None,
    name: str | None = None,
    storage: Path | None = None,
    address: str | None = None,
    overrides: Overrides | None = None,
    look: bool = False,
    **fields: Any,
) -> Plan:
    """What `submit` would do: shards, resources, cluster, upload. Nothing is started, sent or written.

    Args:
        job, folder, name, storage, address, overrides, fields: as for `submit`.
        workers: how many; of several, the first is planned for, and an epoch's time foreseen for all.
        look: whether to read the first 100,000 rows here; `plan(…).look.frame()` tells what was found, a row a column.

    Raises:
        SpecError: the job is refused, or could never run there.
        NotFound, UsageError: as `submit`.
        ClusterIncompatible: the cluster has another Ray or Python.

    Example:
        >>> plan = raytrain.plan("jobs/digits", workers=3)
        >>> plan.per_worker_batch_sizes, plan.to_dict()["steps_per_epoch"]
        ([11, 11, 10], 45)
    """
    from raytrain.client.plan import plan
    from raytrain.client.read_job import read_job

    several = [workers] if isinstance(workers, int) else list(workers or ())
    first = several[0] if several else None
    checked = read_job(
        job, folder=folder, fields=fields, overrides=overrides, name=name, workers=first, storage=storage
    )
    return plan(checked, address=address, compared=several, look=look)


def validate(
    job: Job | None = None, *, folder: Path | None = None, overrides: Overrides | None = None, **fields: Any
) -> Validation:
    """Checks a job on this machine alone; nothing of its own Python is run.

    Args:
        job, folder, overrides, fields: as for `submit`.

    Returns:
        Its `name`, its `file`, and in `checked` what was found to be right, in words.

    Raises:
        SpecError: the job is refused, all problems at once.
        NotFound, UsageError: as `submit`.

    Example:
        >>> raytrain.validate("jobs/digits").checked[0]
        "every field's name and type"
        >>> raytrain.validate("jobs/digits", overrides={"fit.epoch": 3})
        Traceback (most recent call last):
        raytrain.errors.SpecError: …fit.epoch: got …; did you mean `epochs`?
    """
    from raytrain.client.validate import validate

    return validate(job, folder=folder, overrides=overrides, fields=fields)


def check(
    job: Job | None = None,
    *,
    workers: int = 2,
    steps: int = 8,
    folder: Path | None = None,
    overrides: Overrides | None = None,
    progress: Callable[[str], None] | None = None,
    **fields: Any,
) -> CheckReport:
    """Holds several workers against plain Keras, for a few steps on the job's own first rows, without a cluster.

    The job's code runs on this machine's CPUs, in processes that end with the call. Random draws and plain
    BatchNormalization, which depend on the number of workers, are set aside.

    Args:
        job, folder, overrides, progress, fields: as for `submit`.
        workers: how many are held against one process.
        steps: of training, validation and test each, at most.

    Returns:
        Its `verdict`, `is_equal`, and in `comparison` what was compared and by how much it differs.

    Raises:
        SpecError: the job is refused, also for what only Keras knows: a name it does not have, shapes that do not fit.
        UserCodeError: the job's own code fails, crashes or hangs; with its file and line where there is one.
        NotFound, UsageError: as `submit`.

    Example:
        >>> report = raytrain.check("jobs/digits", steps=4)
        >>> report.is_equal, report.comparison.largest < 1e-4
        (True, True)
    """
    from raytrain.client.check import check

    return check(
        job, workers=workers, steps=steps, folder=folder, fields=fields, overrides=overrides, progress=progress
    )


def get(run: str, *, address: str | None = None, storage: str | None = None) -> Run:
    """The run of that name.

    Args:
        run: its id, an unambiguous beginning of it, `@last`, or its directory.
        address: of a cluster's dashboard to ask, where this machine does not remember the run.
        storage: the directory that holds the run's.

    Raises:
        NotFound: there is none; names the nearest.
        UsageError: several begin so.

    Example:
        >>> raytrain.get("@last").id.startswith("digits-")
        True
    """
    from raytrain.client.find_run import find
    from raytrain.client.run import Run

    return Run(find(run, address=address, storage=storage))


def runs(
    *, name: str | None = None, status: str | None = None, limit: int | None = None, storage: str | None = None
) -> Runs:
    """The runs submitted from this machine, the newest first.

    Args:
        name: those of the job of this name.
        status: those that stand so: `SUCCEEDED`, `FAILED`, `STOPPED`, `RUNNING`, …
        limit: at most so many.
        storage: those in this directory, whoever submitted them.

    Raises:
        UsageError: there is no such status.
        NotFound: there is no such storage.

    Example:
        >>> [run.summary().name for run in raytrain.runs(name="digits", status="SUCCEEDED", limit=1)]
        ['digits']
    """
    from raytrain.client.run_list import list_runs
    from raytrain.client.runs import Runs
    from raytrain.errors import Problem, UsageError
    from raytrain.run.run_status import RunStatus

    if status is not None and status not in list(RunStatus):
        raise UsageError(Problem(got=f"status={status!r}", expected=f"one of {', '.join(RunStatus)}"))
    return Runs(list_runs(limit=limit, storage=storage, name=name, status=status))
