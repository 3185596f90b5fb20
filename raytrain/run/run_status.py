"""Where a run stands, and why: the two words of every status."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands, in Ray's words; QUEUED and RETRYING while raytrain itself holds it."""

    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.STOPPED)

    @classmethod
    def of(cls, word: str) -> RunStatus:
        """The status that a run's log names; UNKNOWN where a later version has a word that this one does not know."""
        return cls(word) if word in list(cls) else cls.UNKNOWN


class Reason(StrEnum):
    """Why a run has its status."""

    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopped"
    TARGET_REACHED = "target_reached"
    TIME_LIMIT = "time_limit"
    STOPPED_BY_CALLBACK = "stopped_by_callback"
    STOPPED_BY_USER = "stopped_by_user"
    DIVERGED = "diverged"
    ANSWER_DIFFERS = "answer_differs"
    WORKER_LOST = "worker_lost"
    HUNG = "hung"
    PREEMPTED = "preempted"
    DRIVER_LOST = "driver_lost"
    USER_CODE = "user_code"
    SPEC_REFUSED = "spec_refused"
    RESOURCES = "resources"
    STORAGE = "storage"
    ENVIRONMENT = "environment"
    INTERNAL = "internal"
