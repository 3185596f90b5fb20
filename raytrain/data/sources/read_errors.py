"""What went wrong while a source was read: an error of a Ray Data task in the user's words, with the file named.

Runs in: the driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ray

from raytrain.data.sources.file_kinds import listing_of
from raytrain.data.sources.file_reading import Format, survey_files
from raytrain.data.sources.parquet_files import decode_parquet
from raytrain.errors import Problem, RaytrainError, UserCodeError
from raytrain.spec.file_errors import reason_of
from raytrain.spec.peek.named_files import shown_path
from raytrain.spec.source_kinds import Source
from raytrain.spec.value_types import split_python_ref

_RETRIES = "Failed to apply UDF transform"  # Ray Data's own words, after the error's
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def explain(error: Exception, source: Source, folder: Path, field: str) -> UserCodeError:
    """The error that says what to mend.

    Args:
        error: what Ray Data, Arrow or a user's function raised.
        field: where the source stands in the spec (`data.train`).
    """
    field = f"{field}.{source.kind}"
    for cause in _causes(error):
        if isinstance(cause, RaytrainError) and cause.problems:
            return UserCodeError(*(_located(problem, field, folder) for problem in cause.problems))
    user = _user_problem(error, source, folder, field)
    if user is not None:
        return UserCodeError(user)
    if source.parquet and (traced := _traced(source, folder, field)):
        return explain(traced, source, folder, field.removesuffix(".parquet"))
    return UserCodeError(
        Problem(
            field=field,
            got=f"{_named(source)}, which cannot be read: {reason_of(getattr(error, 'cause', None) or error)}",
            expected=f"{source.kind} data that every node of the cluster can read",
        )
    )


def _traced(source: Source, folder: Path, field: str) -> Exception | None:
    """What is wrong with one of the parquet files, met by reading them all again one by one in Ray Data tasks."""
    try:
        listing = listing_of(source, folder, field)
        survey_files(listing, Format(kind="parquet", decode=decode_parquet))
    except (ray.exceptions.RayError, RaytrainError) as error:
        return error if any(isinstance(cause, RaytrainError) for cause in _causes(error)) else None
    return None


def _named(source: Source) -> str:
    value = getattr(source.details, "path", None) or source.value
    return ", ".join(value) if isinstance(value, (list, dict)) else str(value)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what stands behind it; Ray keeps a task's own error in `cause`."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [getattr(found, "cause", None), found.__cause__]


def _located(problem: Problem, field: str, folder: Path) -> Problem:
    file = problem.file and shown_path(Path(problem.file), folder)
    return replace(problem, field=problem.field or field, file=file)


def _user_problem(error: Exception, source: Source, folder: Path, field: str) -> Problem | None:
    """The user's own error and line in a Ray Data task, which reach the driver as text only."""
    ref = source.code
    if ref is None:
        return None
    cause = str(error).partition("The above exception")[0].partition(_RETRIES)[0].strip()
    own = [(Path(file), int(line)) for file, line in _FRAME.findall(cause) if Path(file).is_relative_to(folder)]
    file, line = own[-1] if own else (folder / split_python_ref(ref)[0], 0)
    got = cause.splitlines()[-1] if cause else type(error).__name__
    got = f"{got} in the rows of {ref}"
    return Problem(field=field, file=shown_path(file, folder), line=line, got=got, expected="rows")
