"""Every error raytrain raises on purpose, with the exit code the command line gives it.

    RaytrainError                1   a bug in raytrain, when raised as itself
    ├── UsageError               2   the command line was wrong
    ├── SpecError                3   the job spec is refused; carries every Problem found
    ├── ClusterError             4   the cluster cannot be used
    │   ├── ClusterUnreachable
    │   ├── ClusterIncompatible      another Ray or Python version
    │   └── UploadTooLarge
    ├── NotFound                 5   no such run, file or cluster record
    ├── RunError                10   what a run that was waited for came to; carries its summary
    │   ├── RunFailed                it FAILED
    │   ├── RunStopped          11   it was STOPPED
    │   ├── StateUnknown        12   the connection was lost and the run's state cannot be had
    │   └── WaitTimedOut       124   the time to wait has passed; the run goes on
    └── UserCodeError           10   the user's code or data made the run fail (raised on the cluster)

The exit codes follow the command line's contract: 0 succeeded, 10 FAILED, 11 STOPPED, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from typing import Any, Self


class ExitCode(IntEnum):
    """What a `raytrain` process returns to its shell."""

    OK = 0
    BUG = 1
    USAGE = 2
    SPEC_REFUSED = 3
    CLUSTER_UNREACHABLE = 4
    NOT_FOUND = 5
    RUN_FAILED = 10
    RUN_STOPPED = 11
    STATE_UNKNOWN = 12
    TIMED_OUT = 124
    INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, what we got, what we expected, what to do.

    Attributes:
        got: what was found, in a few words.
        expected: what would have been accepted.
        fix: what to write or run instead; empty when `expected` already says it.
        field: dotted path of the spec's field (`data.train`), empty when no field is at fault.
        file: path of the file at fault, as the user named it; empty when there is none.
        line: 1-based line in `file`; 0 when unknown.
    """

    got: str
    expected: str
    fix: str = ""
    field: str = ""
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """`job.yaml:12: data.train`, with what is unknown left out."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.field) if part)

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        tail = f"; {self.fix}" if self.fix else ""
        return f"{head}got {self.got}, expected {self.expected}{tail}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run, or one of its worker groups, failed: the `error` of events and of JSON.

    Attributes:
        kind: the exception's class, or what raytrain calls the failure (`WorkerLost`, `Hung`, …).
        message: what happened, in a sentence or a few.
        got, expected, field, fix: as in a `Problem`; None where there is none.
        internal: raytrain itself is at fault.
        rank: the worker that it happened on; None where it was none, or all.
        file, line: in the user's own code; None where none is at fault.
        traceback: the end of it.
    """

    kind: str
    message: str
    got: str | None = None
    expected: str | None = None
    field: str | None = None
    fix: str | None = None
    internal: bool = False
    rank: int | None = None
    file: str | None = None
    line: int | None = None
    traceback: str | None = None

    @property
    def place(self) -> str:
        """`model.py:12`; empty where no line of the user's is at fault."""
        return ":".join(str(part) for part in (self.file, self.line) if part)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Failure:
        """Of this or another version of raytrain: keys that are not known are left out."""
        known = {item.name: body[item.name] for item in fields(cls) if item.name in body}
        return cls(**{"kind": "", "message": "", **{name: value for name, value in known.items() if value is not None}})


class RaytrainError(Exception):
    """Base of all errors above; `problems` hold the details shown in the error panel."""

    exit_code = ExitCode.BUG
    title = "raytrain failed"

    def __init__(self, *problems: Problem, message: str = "") -> None:
        self.problems = problems
        self.message = message
        super().__init__(message or "\n".join(str(problem) for problem in problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problems, self.message))


def _rebuild(kind: type[RaytrainError], problems: tuple[Problem, ...], message: str) -> RaytrainError:
    return kind(*problems, message=message)


class UsageError(RaytrainError):
    exit_code = ExitCode.USAGE
    title = "Wrong usage"


class SpecError(RaytrainError):
    exit_code = ExitCode.SPEC_REFUSED
    title = "The job is refused"


class ClusterError(RaytrainError):
    exit_code = ExitCode.CLUSTER_UNREACHABLE
    title = "The cluster cannot be used"


class ClusterUnreachable(ClusterError):
    title = "The cluster cannot be reached"


class ClusterIncompatible(ClusterError):
    title = "The cluster runs another version"


class UploadTooLarge(ClusterError):
    exit_code = ExitCode.SPEC_REFUSED
    title = "The upload is too large"


class NotFound(RaytrainError):
    exit_code = ExitCode.NOT_FOUND
    title = "Not found"


class RunError(RaytrainError):
    """What a run that was waited for came to, where it did not succeed.

    Attributes:
        summary: a `raytrain.run.summary.RunSummary`, the run as far as it is known; None where nobody could look.
    """

    exit_code = ExitCode.RUN_FAILED
    title = "The run did not succeed"
    summary: Any = None

    def of(self, summary: Any) -> Self:
        """The same error with the run's summary."""
        self.summary = summary
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"summary": self.summary})


class RunFailed(RunError):
    title = "The run failed"


class RunStopped(RunError):
    exit_code = ExitCode.RUN_STOPPED
    title = "The run was stopped"


class StateUnknown(RunError):
    exit_code = ExitCode.STATE_UNKNOWN
    title = "The run's state is unknown"


class WaitTimedOut(RunError):
    exit_code = ExitCode.TIMED_OUT
    title = "Timed out waiting"


class UserCodeError(RaytrainError):
    exit_code = ExitCode.RUN_FAILED
    title = "The job's own code or data failed"
