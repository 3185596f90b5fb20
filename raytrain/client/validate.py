"""Checks a job on this machine alone, and says what was checked; nothing of the job's own Python is run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raytrain import formatting
from raytrain.client.read_job import CheckedJob, Overrides, read_job

if TYPE_CHECKING:
    from raytrain.client.read_job import Job


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A job that is valid.

    Attributes:
        file: its spec, as the user named it.
        checked: what was found to be right, in words.
    """

    name: str
    file: str
    checked: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `validate --json` prints it."""
        return {"schema_version": 1, "name": self.name, "valid": True, "checked": list(self.checked)}


def validate(
    job: Job | None,
    *,
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
    overrides: Overrides | None = None,
) -> Validation:
    """Checks the job that the user names, or says in `fields`; the arguments as `read_job` has them.

    Raises:
        SpecError: the job is refused, all problems at once.
        NotFound: there is no such file.
    """
    checked = read_job(job, folder=folder, fields=fields, overrides=overrides)
    return Validation(name=checked.loaded.spec.name, file=checked.loaded.file, checked=tuple(_checks(checked)))


def _checks(job: CheckedJob) -> Iterator[str]:
    spec, rows = job.loaded.spec, job.facts.rows
    yield "every field's name and type"
    yield f"the model ({spec.model.kind}) and every file and function that the job refers to; none was run"
    if rows is None:
        yield "the data's names; its rows are counted on the cluster"
    else:
        splits = {name: count for name, count in vars(rows).items() if count}
        yield "the data: " + ", ".join(f"{formatting.count(count)} {name} rows" for name, count in splits.items())
    batch = f"global batch {spec.fit.global_batch_size}"
    yield f"the shards: {formatting.plural(spec.scaling.workers, 'worker')}, {batch}"
