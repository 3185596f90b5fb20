"""A job as the command line names it: read, overridden by `--set` and the short options, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with _without_pydantic_plugins():
        from raytrain.spec.checks import check_job
        from raytrain.spec.load import load_job

    given = overrides_of(overrides, name=name, workers=workers, storage=storage)
    loaded = load_job(job, overrides=given)
    return loaded, check_job(loaded)


def overrides_of(
    overrides: Sequence[str] | None, *, name: str | None, workers: int | None, storage: str | None
) -> list[str]:
    """Every `--set` argument, the ones that the short options stand for last."""
    short = {"name": name, "scaling.workers": workers, "storage": storage}
    return [*(overrides or ()), *(f"{field}={_as_yaml(value)}" for field, value in short.items() if value is not None)]


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
