"""Decides what follows when a worker group has failed: another group from the last checkpoint, or the end of the run.

Runs in: the driver. The rule is pure; `raytrain.driver.train_task` obeys it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from raytrain import formatting
from raytrain.driver.watchdog import Hang
from raytrain.errors import Failure
from raytrain.run.run_status import Reason
from raytrain.spec.job import RestartsSpec

# What a healthy rank raises when another one has gone: a symptom, never the cause.
_COLLATERAL = {"UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError", "InternalError"}
# What Ray raises on a worker whose node, raylet, objects or actors are gone: no fault of the job's, as a lost worker.
_INFRASTRUCTURE = {
    "ActorDiedError",
    "ActorUnavailableError",
    "LocalRayletDiedError",
    "NodeDiedError",
    "ObjectFetchTimedOutError",
    "ObjectLostError",
    "ObjectReconstructionFailedError",
    "OwnerDiedError",
    "RayActorError",
    "RayChannelError",
    "RaySystemError",
    "ReferenceCountingAssertionError",
    "RpcError",
    "WorkerCrashedError",
}
# What TensorFlow and the sockets below it say of a port that somebody else took in between.
_PORT_TAKEN = re.compile(r"address already in use|could not start grpc server|failed to bind|errno 98", re.IGNORECASE)
# Ray's memory monitor names the node and what each process held; of any process that died Ray says that it may have
# been the kernel's "OOM killer", which is no finding.
_OUT_OF_MEMORY = re.compile(r"out ?of ?memory|memory usage threshold", re.IGNORECASE)
_MEMORY_ACCOUNT = re.compile(r"[^\n.]*Memory on the node[^\n]*")

# Heartbeats come once a second, and the last one may be lost with its process.
_UNHEARD_S = 2.0
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0

Budget = Literal["max", "startup", ""]


@dataclass(frozen=True, kw_only=True)
class Death:
    """How and where a worker group ended. `at`: steps since the first epoch began; None where no heartbeat told."""

    kind: str
    ranks: tuple[int, ...]
    at: int | None
    steps_per_s: float

    def is_again(self, earlier: Death | None) -> bool:
        """Whether it is the same death, as far as heartbeats can tell: of the same ranks, where the earlier one was."""
        if earlier is None or (self.kind, self.ranks) != (earlier.kind, earlier.ranks):
            return False
        if self.at is None or earlier.at is None:
            return True
        return abs(self.at - earlier.at) <= math.ceil(_UNHEARD_S * max(self.steps_per_s, earlier.steps_per_s))


@dataclass(frozen=True, kw_only=True)
class GroupFailure:
    """All that is known of how a worker group ended without finishing.

    Attributes:
        errors: what the ranks reported, first come first (see `user_code.describe_failure`).
        lost_ranks: ranks whose process died.
        account: Ray Train's own, for when no rank could say anything.
        hang: what the watchdog found, before it ended the group.
        preempted: a node was taken away that its owner had announced.
        started: a rank was past its first step.
        position: epoch and step of the rank that had come furthest; None before the first step.
        steps_per_s: how fast the ranks went; 0 where unknown.
        progressed: a checkpoint or an epoch was done since the group began.
    """

    errors: Sequence[Failure] = ()
    lost_ranks: Sequence[int] = ()
    account: str = ""
    hang: Hang | None = None
    preempted: bool = False
    started: bool = True
    position: tuple[int, int] | None = None
    steps_per_epoch: int = 1
    steps_per_s: float = 0.0
    progressed: bool = False

    @property
    def death(self) -> Death | None:
        """How it ended, to be held against the next; None where it did not end by itself or never began."""
        kind = "lost" if self.hang is None else "hung"
        ranks = tuple(self.lost_ranks) if self.hang is None else (self.hang.rank,)
        if not ranks or not self.started or self.preempted:
            return None
        at = None if self.position is None else self.position[0] * self.steps_per_epoch + self.position[1]
        return Death(kind=kind, ranks=ranks, at=at, steps_per_s=self.steps_per_s)


@dataclass(frozen=True, kw_only=True)
class History:
    """The failures of this attempt before the present one. `in_a_row`: those since anything was done last."""

    restarts: int = 0
    startups: int = 0
    in_a_row: int = 0
    last: Death | None = None

    def after(self, failure: GroupFailure, budget: Budget) -> History:
        return History(
            restarts=self.restarts + (budget == "max"),
            startups=self.startups + (budget == "startup"),
            in_a_row=0 if failure.progressed else self.in_a_row + 1,
            last=failure.death,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to start another group after `back_off_s`, and if not, why the run ends; `error` is shown either way.

    `budget`: which of the spec's `restarts` the new group is charged to; none when it is free.
    """

    restart: bool
    reason: Reason
    error: Failure
    back_off_s: float = 0.0
    budget: Budget = ""


def decide(failure: GroupFailure, past: History, limits: RestartsSpec) -> Decision:
    """What to do about a failed group."""
    causes = [error for error in failure.errors if not failure.hang and not _is_collateral(error, failure)]
    own = [error for error in causes if not _is_infrastructure(error)]
    port_taken = bool(own) and not failure.started and all(_is_port_taken(error) for error in own)
    if own and not port_taken:
        return Decision(restart=False, reason=_reason_of(own[0]), error=own[0])
    reason = Reason.HUNG if failure.hang else Reason.PREEMPTED if failure.preempted else Reason.WORKER_LOST
    error = _account(failure, own[0] if port_taken else None, next(filter(_is_infrastructure, causes), None))
    if failure.death is not None and not failure.progressed and failure.death.is_again(past.last):
        again = f"{error.message}, twice at the same step: a restart would end there again"
        return Decision(restart=False, reason=reason, error=replace(error, message=again))
    budget: Budget = "" if failure.preempted else "max" if failure.started or failure.hang else "startup"
    used, most = (past.startups, limits.startup) if budget == "startup" else (past.restarts, limits.max)
    if budget and used >= most:
        ended = f"{error.message}; no restart is left of the {most} that restarts.{budget} allows"
        return Decision(restart=False, reason=reason, error=replace(error, message=ended))
    wait_s = back_off_s(0 if failure.progressed else past.in_a_row)
    counted = f"restart {used + 1} of {most}" if budget else "a restart that is not counted"
    words = f"{error.message}; {counted}" + (f" in {formatting.seconds(wait_s)}" if wait_s else "")
    return Decision(restart=True, reason=reason, error=replace(error, message=words), back_off_s=wait_s, budget=budget)


def _reason_of(error: Failure) -> Reason:
    if error.kind == "StorageError":
        return Reason.STORAGE
    if error.kind == "AnswerDiffers":
        return Reason.ANSWER_DIFFERS
    if error.kind in ("SpecError", "UserCodeError") and error.file is None:
        return Reason.SPEC_REFUSED
    return Reason.INTERNAL if error.internal else Reason.USER_CODE


def back_off_s(failures_in_a_row: int) -> float:
    """How long to wait before the next group: nothing after the first failure, then 1, 2, 4, … seconds, 30 at most."""
    if failures_in_a_row == 0:
        return 0.0
    return float(min(_FIRST_WAIT_S * 2 ** min(failures_in_a_row - 1, 10), _LONGEST_WAIT_S))


def _is_collateral(error: Failure, failure: GroupFailure) -> bool:
    """Before the first step there is no collective to be aborted yet: a connection fails then."""
    if error.kind not in _COLLATERAL:
        return False
    joining = bool(failure.lost_ranks) and not failure.started and error.file is None
    return joining or "ollective" in f"{error.message}{error.traceback}"


def _is_infrastructure(error: Failure) -> bool:
    """Ray names an error that came through a task `RayTaskError(KIND)`."""
    kind = error.kind.removeprefix("RayTaskError(").removesuffix(")")
    return error.file is None and kind in _INFRASTRUCTURE


def _is_port_taken(error: Failure) -> bool:
    return error.file is None and bool(_PORT_TAKEN.search(error.message))


def _account(failure: GroupFailure, port_taken: Failure | None, infrastructure: Failure | None) -> Failure:
    """The failure in words, as `AttemptFailed` carries it; the errors are those that ranks reported of such kinds."""
    where = f" in epoch {failure.position[0] + 1}, step {failure.position[1]}" if failure.position else ""
    who = f"rank {', '.join(map(str, failure.lost_ranks))}" if failure.lost_ranks else "a worker"
    kind, fix = "WorkerLost", "look at the rank's log; memory running out is the usual cause"
    message = f"the process of {who} died{where or ', before its first step'}{_last_words(failure)}"
    rank = failure.lost_ranks[0] if failure.lost_ranks else None
    if failure.hang is not None:
        kind, rank, fix = "Hung", failure.hang.rank, "the stacks in the attempt's logs show where each rank stood"
        message = _hung(failure.hang)
    elif port_taken is not None:
        kind, rank, fix = "PortTaken", port_taken.rank, "another process took the port; nothing to mend"
        message = f"rank {rank} could not listen on its port"
    elif failure.preempted:
        kind, fix = "Preempted", ""
        message = f"the node of {who} was taken away{where}"
    elif _OUT_OF_MEMORY.search(failure.account):
        kind, fix = "OutOfMemory", "a smaller fit.global_batch_size, or nodes with more memory"
        match = _MEMORY_ACCOUNT.search(failure.account)
        message = f"the process of {who} was ended for memory{where}" + (f": {match[0].strip()[:400]}" if match else "")
    elif infrastructure is not None and not failure.lost_ranks:
        rank, fix = infrastructure.rank, "look at the nodes of the cluster, and at Ray's own logs there"
        what = infrastructure.message.strip().partition("\n")[0][:300]
        message = f"Ray failed rank {rank}{where or ', before its first step'}: {infrastructure.kind}: {what}"
    return Failure(kind=kind, message=message, rank=rank, fix=fix, traceback=failure.account[-20_000:])


def _last_words(failure: GroupFailure) -> str:
    """What Ray says, where no rank is known to be the one."""
    lines = [line.strip() for line in failure.account.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines and not failure.lost_ranks else ""


def _hung(hang: Hang) -> str:
    place = "in its set-up" if hang.phase == "setup" else f"in epoch {hang.epoch + 1}, step {hang.step} ({hang.phase})"
    return f"no worker advanced for {formatting.seconds(hang.limit_s)}; rank {hang.rank} stood still {place}"
