"""A job as the command line names it: read, overridden by `--set` and the short options, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.load import LoadedJob


@dataclass(frozen=True, kw_only=True)
class CheckedJob:
    """A job that this machine has found nothing wrong with.

    Attributes:
        facts: what is known of it before it runs.
        overrides: every `--set` argument that it has taken in, those that the short options stand for last.
    """

    loaded: LoadedJob
    facts: JobFacts
    overrides: tuple[str, ...]


def read_job(
    job: str,
    *,
    overrides: Sequence[str] | None = None,
    name: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
) -> CheckedJob:
    """Reads a job, and checks all of it that can be checked without a cluster.

    The short options stand for `--set name=`, `--set scaling.workers=` and `--set storage=`, and count after `--set`.

    Raises:
        SpecError: the job is refused, all problems at once.
        NotFound: there is no such file.
    """
    with _without_pydantic_plugins():
        from raytrain.spec.checks import check_job
        from raytrain.spec.load import load_job

    short = {"name": name, "scaling.workers": workers, "storage": storage}
    shorts = (f"{field}={_as_yaml(value)}" for field, value in short.items() if value is not None)
    given = (*(overrides or ()), *shorts)
    loaded = load_job(job, overrides=given)
    return CheckedJob(loaded=loaded, facts=check_job(loaded), overrides=given)


def spec_file_of(job: LoadedJob) -> str:
    """The name of the job's spec in its folder, whatever links led to it; empty when it came from standard input."""
    name = Path(os.path.realpath(Path(job.file).expanduser())).name
    return name if (job.folder / name).is_file() else ""


def job_file_of(job: LoadedJob) -> str:
    """The absolute path of the job's spec, by which its runs are remembered; empty when it came from standard input."""
    name = spec_file_of(job)
    return str(job.folder / name) if name else ""


def _as_yaml(value: str | int) -> str:
    """The value as YAML reads it back, a name that looks like a number included: JSON is YAML."""
    import json

    return json.dumps(value)


@contextmanager
def _without_pydantic_plugins() -> Iterator[None]:
    """Pydantic looks through every installed distribution for plugins when a model is made; ours need none.

    Typer does the same for its own models. Saves 5 ms of `validate`, which has 150 in all.
    """
    before = os.environ.get("PYDANTIC_DISABLE_PLUGINS")
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYDANTIC_DISABLE_PLUGINS"]
        else:
            os.environ["PYDANTIC_DISABLE_PLUGINS"] = before
