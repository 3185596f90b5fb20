"""Decides what follows when a worker group has failed: another group from the last checkpoint, or the end of the run.

Runs in: the driver. The rule is pure; `raytrain.driver.job` obeys it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raytrain.run import Reason

# What a healthy rank raises when another one has gone: a symptom, never the cause.
_COLLATERAL = {"UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError", "InternalError"}


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """Whether to start another group, and if not, why the run ends; `error` is shown either way."""

    restart: bool
    reason: Reason
    error: dict[str, Any]


def rule(
    *, errors: Sequence[dict[str, Any]], lost_ranks: Sequence[int], failure: str, restarts: int, max_restarts: int
) -> Ruling:
    """What to do about a failed group.

    Args:
        errors: what the ranks reported, first come first (see `user_code.describe_failure`).
        lost_ranks: ranks whose process died.
        failure: Ray Train's own account, for when no rank could say anything.
        restarts: groups started so far besides the first.
    """
    own = [error for error in errors if not _is_collateral(error)]
    if own:
        refused = own[0]["kind"] in ("SpecError", "UserCodeError") and own[0]["file"] is None
        reason = Reason.SPEC_REFUSED if refused else Reason.INTERNAL if own[0].get("internal") else Reason.USER_CODE
        return Ruling(restart=False, reason=reason, error=own[0])
    left = max_restarts - restarts
    error = _lost(lost_ranks, failure)
    return Ruling(restart=left > 0, reason=Reason.WORKER_LOST, error=error)


def _is_collateral(error: dict[str, Any]) -> bool:
    return error["kind"] in _COLLATERAL and "ollective" in f"{error['message']}{error['traceback']}"


def _lost(ranks: Sequence[int], failure: str) -> dict[str, Any]:
    who = f"rank {', '.join(map(str, ranks))}" if ranks else "a worker"
    return {
        "kind": "WorkerLost",
        "message": f"the process of {who} died",
        "rank": ranks[0] if ranks else None,
        "file": None,
        "line": None,
        "field": None,
        "internal": False,
        "fix": "look at the rank's log; memory running out is the usual cause",
        "traceback": failure[-20_000:],
    }
