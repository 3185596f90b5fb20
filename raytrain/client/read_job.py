"""A job as the user names it or says it in Python: read, overridden by `--set` and the short options, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from raytrain.errors import Problem, UsageError

if TYPE_CHECKING:
    from raytrain.spec.checks import JobFacts
    from raytrain.spec.job import JobSpec
    from raytrain.spec.load import LoadedJob

    Job: TypeAlias = str | os.PathLike[str] | JobSpec

Overrides = Mapping[str, Any] | Sequence[str]
_FIELDS = "model=…, data=…, fit=…"


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
    job: Job | None,
    *,
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
    overrides: Overrides | None = None,
    name: str | None = None,
    workers: int | None = None,
    storage: str | os.PathLike[str] | None = None,
) -> CheckedJob:
    """Reads a job, and checks all of it that can be checked without a cluster.

    The short options stand for `--set name=`, `--set scaling.workers=` and `--set storage=`, and count after `--set`.

    Args:
        job: a folder, a YAML file, `-`, or a spec; None where `fields` say it.
        folder: of a job that is said in Python: what its paths are relative to; the current one when left out.
        fields: the job, as in a job.yaml.

    Raises:
        UsageError: a job that is said in two ways, or in none; or an override that no YAML could say.
        SpecError: the job is refused, all problems at once.
        NotFound: there is no such file.
    """
    with _without_pydantic_plugins():
        from raytrain.spec.checks import check_job

    short = {"name": name, "scaling.workers": workers, "storage": os.fspath(storage) if storage is not None else None}
    given = (
        *as_arguments(overrides or ()),
        *as_arguments({key: value for key, value in short.items() if value is not None}),
    )
    loaded = _load(job, folder, fields or {}, given)
    return CheckedJob(loaded=loaded, facts=check_job(loaded), overrides=given)


def _load(
    job: Job | None,
    folder: str | os.PathLike[str] | None,
    fields: Mapping[str, Any],
    overrides: tuple[str, ...],
) -> LoadedJob:
    from raytrain.spec.job import JobSpec
    from raytrain.spec.load import load_fields, load_job

    if (job is None) == (not fields):
        got = f"no job and no fields of one ({_FIELDS})" if job is None else f"a job and beside it {', '.join(fields)}"
        fix = "" if job is None else 'overrides={"fit.epochs": 3} changes fields of a job'
        raise UsageError(Problem(got=got, expected="a folder, a YAML file, a JobSpec, or fields of a job", fix=fix))
    if isinstance(job, JobSpec):
        fields = job.model_dump(mode="json", exclude_unset=True)
    elif job is not None:
        if folder is not None:
            got, fix = f"folder={os.fspath(folder)!r} beside the job {os.fspath(job)}", "leave it out"
            raise UsageError(Problem(got=got, expected="a folder beside a job that is said in Python", fix=fix))
        return load_job(os.fspath(job), overrides=overrides)
    return load_fields(fields, Path() if folder is None else Path(folder), overrides=overrides)


def as_arguments(overrides: Overrides) -> Iterator[str]:
    """Overrides as `--set` takes them; a map's values as YAML reads them back: JSON is YAML."""
    import json

    if not isinstance(overrides, Mapping):
        yield from overrides
        return
    for field, value in overrides.items():
        try:
            yield f"{field}={json.dumps(value, default=_plain)}"
        except (TypeError, ValueError) as error:
            got = f"{field}: {value!r}, a {type(value).__name__}"
            expected = "texts, numbers, lists and maps of these, as in a job.yaml"
            raise UsageError(Problem(got=got, expected=expected, field="overrides")) from error


def _plain(value: object) -> object:
    """A path as text, a number of numpy's as Python's own."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(type(value).__name__)


def spec_file_of(job: LoadedJob) -> str:
    """The name of the job's spec in its folder, whatever links led to it; empty when it came from standard input."""
    name = Path(os.path.realpath(Path(job.file).expanduser())).name
    return name if (job.folder / name).is_file() else ""


def job_file_of(job: LoadedJob) -> str:
    """The absolute path of the job's spec, by which its runs are remembered; empty when it came from standard input."""
    name = spec_file_of(job)
    return str(job.folder / name) if name else ""


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
