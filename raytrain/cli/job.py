"""A job as the command line names it: read, overridden by `--set` and the short options, and checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.load import LoadedJob


def read_job(
    job: str,
    *,
    overrides: Sequence[str] | None = None,
    name: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
) -> tuple[LoadedJob, JobFacts]:
    """The job and what is known of it before it runs.

    The short options stand for `--set name=`, `--set scaling.workers=` and `--set storage=`, and count after `--set`.

    Raises:
        SpecError: the job is refused, all problems at once.
        NotFound: there is no such file.
    """
    from raytrain.spec.checks import check_job
    from raytrain.spec.load import load_job

    short = {"name": name, "scaling.workers": workers, "storage": storage}
    given = [f"{field}={json.dumps(value)}" for field, value in short.items() if value is not None]
    loaded = load_job(job, overrides=[*(overrides or ()), *given])
    return loaded, check_job(loaded)
