"""What of a job has changed since a run of it was submitted, and may change its answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raytrain.client.upload.upload_plan import unfit
from raytrain.errors import Problem, SpecError

if TYPE_CHECKING:
    from raytrain.client.upload.upload_plan import UploadPlan
    from raytrain.spec.job import JobSpec
    from raytrain.spec.request import JobRequest

# What a run may be resumed with at will: it changes how long or where the run goes on, not what it computes.
HARMLESS = ("fit.epochs", "fit.time_limit", "scaling", "checkpoint", "restarts", "watchdog", "storage", "environment")
_SHOWN_PROBLEMS = 10


def fingerprint(plan: UploadPlan, spec_file: str) -> dict[str, str]:
    """The beginning of the SHA-256 of each file that is uploaded; not of the spec's, which is compared by field.

    Raises:
        SpecError: a file cannot be read any more.
    """
    digests = {}
    for file in plan.files:
        if file.path == spec_file:
            continue
        try:
            with file.source.open("rb") as content:
                digests[file.path] = hashlib.file_digest(content, "sha256").hexdigest()[:16]
        except OSError as error:
            raise SpecError(unfit(file.path, str(error.strerror))) from None
    return digests


def refuse_changes(problems: Sequence[Problem], *, force: bool) -> None:
    """Raises SpecError where there are changes that nobody meant."""
    if problems and not force:
        raise SpecError(*problems, message="the job is not the one that the run was submitted with")


def changes(request: JobRequest, now: JobSpec, files: Mapping[str, str]) -> list[Problem]:
    """What is not as it was when the run was submitted, of all that decides its answer.

    Args:
        request: how the run was submitted.
        now: the job as it is now.
        files: its files' fingerprints.
    """
    fix = "put it back, or --force resumes with it as it is now"
    before, after = (_leaves(spec.model_dump(mode="json")) for spec in (request.spec, now))
    fields = [name for name in {**before, **after} if before.get(name) != after.get(name) and not _is_harmless(name)]
    problems = [
        Problem(got=_shown(after.get(name)), expected=f"{_shown(before.get(name))}, as submitted", fix=fix, field=name)
        for name in fields
    ]
    for name in sorted({*request.files, *files}):
        was, is_now = request.files.get(name), files.get(name)
        if was != is_now:
            how = "a new file" if was is None else "no such file any more" if is_now is None else "a changed file"
            problems.append(Problem(got=how, expected="the file as submitted", fix=fix, file=name))
    return problems[:_SHOWN_PROBLEMS]


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """A nested map as one flat map of dotted names; lists count as values."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        name: leaf for key, item in value.items() for name, leaf in _leaves(item, f"{path}.{key}".lstrip(".")).items()
    }


def _is_harmless(field: str) -> bool:
    return any(field == name or field.startswith(f"{name}.") for name in HARMLESS)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"
