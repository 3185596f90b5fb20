"""What went wrong, for people and for programs: the lines of a panel, and the JSON object on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raytrain.errors import ExitCode, Failure, Problem, RaytrainError
from raytrain.run.status_words import reason_in_words
from raytrain.run.summary import RunSummary

_UNKNOWN = Failure(kind="", message="")


def error_lines(error: RaytrainError) -> Iterator[str]:
    """The panel's lines: the message, then each problem."""
    if error.message:
        yield from error.message.splitlines()
    for number, problem in enumerate(error.problems):
        if number or error.message:
            yield ""
        yield from _problem_lines(problem)


def error_object(
    kind: str, title: str, message: str, exit_code: ExitCode, problems: Sequence[Problem] = ()
) -> dict[str, Any]:
    """`{"error": {…}}`, the same keys for every kind of failure."""
    fields = ("got", "expected", "fix", "field", "file", "line")
    listed = [{name: getattr(problem, name) for name in fields} for problem in problems]
    body = {"kind": kind, "title": title, "message": message, "exit_code": int(exit_code), "problems": listed}
    return {"error": body}


def failure_title(summary: RunSummary) -> str:
    return f"{summary.run} FAILED: {reason_in_words(summary.reason)}"


def failure_lines(summary: RunSummary) -> Iterator[str]:
    """Why a run failed: the user's own file and line where it is the user's code."""
    error = summary.error or _UNKNOWN
    rank = f"on rank {error.rank}" if error.rank is not None else ""
    where = ", ".join(part for part in (error.place, error.field, rank) if part)
    if where:
        yield where
    if error.got:
        yield from _labelled("got", error.got)
        yield from _labelled("expected", error.expected or "")
    else:
        yield from _raised(error).splitlines()
    yield from _labelled("to mend", error.fix or "")


def _raised(error: Failure) -> str:
    """`NameError: name 'hiden' is not defined`; the kind alone, or the message alone, where that is all."""
    kind, message = error.kind, error.message
    builtin = kind.endswith(("Error", "Exception", "Exit")) and kind not in message
    return f"{kind}: {message}" if builtin and message else message or kind or "no reason was given"


def failure_object(summary: RunSummary) -> dict[str, Any]:
    """The same for programs; the object on stdout has the traceback, too."""
    error = summary.error or _UNKNOWN
    whole = error_object(error.kind or "RunFailed", failure_title(summary), error.message, ExitCode.RUN_FAILED)
    known = {key: getattr(error, key) for key in ("rank", "file", "line", "field", "fix")}
    return {"error": whole["error"] | {"run": summary.run, "reason": summary.reason} | known}


def _problem_lines(problem: Problem) -> Iterator[str]:
    if problem.where:
        yield problem.where
    for label, text in (("got", problem.got), ("expected", problem.expected), ("to mend", problem.fix)):
        yield from _labelled(label, text)


def _labelled(label: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    if first:
        yield f"{label:<9} {first}"
        yield from (f"{'':<9} {line}" for line in rest)
