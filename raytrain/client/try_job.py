"""`raytrain.fast_dev_run`: what `submit --fast-dev-run` does, as a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raytrain.client.fast_dev_run import FastDevRun
    from raytrain.client.read_job import Job, Overrides

Path = str | os.PathLike[str]


def fast_dev_run(
    job: Job | None = None,
    *,
    folder: Path | None = None,
    workers: int | None = None,
    name: str | None = None,
    storage: Path | None = None,
    address: str | None = None,
    overrides: Overrides | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
    **fields: Any,
) -> FastDevRun:
    """Puts one batch of each split through all that a run does, where `submit` would; keeps nothing of it.

    Args:
        job, folder, workers, name, storage, address, overrides, progress, fields: as for `submit`.
        timeout_s: how many seconds to wait at most.

    Returns:
        `.is_fine`, and `.summary`, with `.error` where it is not.

    Raises:
        SpecError, NotFound, ClusterError, UsageError: as `submit`.
        WaitTimedOut, StateUnknown: its end was not seen; its files stay.

    Example:
        >>> raytrain.fast_dev_run("jobs/digits").is_fine  # doctest: +SKIP
        True
    """
    from raytrain.client.fast_dev_run import fast_dev_run as try_out
    from raytrain.client.read_job import read_job

    checked = read_job(
        job, folder=folder, fields=fields, overrides=overrides, name=name, workers=workers, storage=storage
    )
    return try_out(checked, address=address, timeout_s=timeout_s, progress=progress)
