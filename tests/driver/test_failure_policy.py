from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raytrain.driver.failure_policy import Decision, GroupFailure, History, back_off_s, decide
from raytrain.driver.watchdog import Hang
from raytrain.errors import Failure
from raytrain.run.run_status import Reason
from raytrain.spec.job import RestartsSpec

ABORTED = "Collective ops is aborted by: worker 1 has gone"


def error(kind: str, message: str = "no", *, file: str | None = None, traceback: str = "") -> Failure:
    return Failure(kind=kind, message=message, file=file, rank=0, traceback=traceback)


@pytest.mark.parametrize(
    ("errors", "lost", "restarts", "most", "restart", "reason", "kind"),
    [
        pytest.param([], [1], 0, 3, True, "worker_lost", "WorkerLost", id="a rank died"),
        pytest.param([], [1], 2, 3, True, "worker_lost", "WorkerLost", id="the last restart"),
        pytest.param([], [1], 3, 3, False, "worker_lost", "WorkerLost", id="no restart left"),
        pytest.param([], [0], 0, 0, False, "worker_lost", "WorkerLost", id="no restart wanted"),
        pytest.param([], [], 0, 3, True, "worker_lost", "WorkerLost", id="nobody could say anything"),
        pytest.param(
            [error("UnavailableError", ABORTED)], [1], 0, 3, True, "worker_lost", "WorkerLost", id="symptoms of a loss"
        ),
        pytest.param(
            [error("InternalError", traceback=ABORTED)], [], 0, 3, True, "worker_lost", "WorkerLost", id="in the trace"
        ),
        pytest.param(
            [error("ValueError", file="model.py")], [], 0, 3, False, "user_code", "ValueError", id="the user's error"
        ),
        pytest.param([error("ValueError")], [1], 0, 3, False, "user_code", "ValueError", id="an error and a death"),
        pytest.param(
            [error("AbortedError", ABORTED), error("ValueError", file="model.py")],
            [],
            0,
            3,
            False,
            "user_code",
            "ValueError",
            id="the cause comes after its symptom",
        ),
        pytest.param(
            [error("KeyError"), error("ValueError")], [], 0, 3, False, "user_code", "KeyError", id="the first of two"
        ),
        pytest.param(
            [error("InternalError", "cuDNN is too old")], [], 0, 3, False, "user_code", "InternalError", id="its own"
        ),
        pytest.param([error("ValueError", ABORTED)], [], 0, 3, False, "user_code", "ValueError", id="only a word"),
        pytest.param([error("UserCodeError")], [], 0, 3, False, "spec_refused", "UserCodeError", id="a field"),
        pytest.param([error("SpecError")], [], 0, 3, False, "spec_refused", "SpecError", id="a spec"),
        pytest.param(
            [error("UserCodeError", file="model.py")], [], 0, 3, False, "user_code", "UserCodeError", id="a file"
        ),
        pytest.param([error("OwnerDiedError")], [], 0, 3, True, "worker_lost", "WorkerLost", id="Ray's own failure"),
        pytest.param([error("RaySystemError")], [], 3, 3, False, "worker_lost", "WorkerLost", id="and no restart left"),
        pytest.param(
            [error("RayTaskError(ObjectLostError)")], [], 0, 3, True, "worker_lost", "WorkerLost", id="through a task"
        ),
        pytest.param(
            [error("ActorDiedError", file="model.py")], [], 0, 3, False, "user_code", "ActorDiedError", id="their actor"
        ),
        pytest.param(
            [error("NodeDiedError"), error("KeyError")], [], 0, 3, False, "user_code", "KeyError", id="and an error"
        ),
    ],
)
def test_rule(
    errors: list[Failure], lost: list[int], restarts: int, most: int, restart: bool, reason: str, kind: str
) -> None:
    decision = decide(
        GroupFailure(errors=errors, lost_ranks=lost, account="trace"),
        History(restarts=restarts),
        RestartsSpec(max=most),
    )
    assert (decision.restart, decision.reason, decision.error.kind) == (restart, Reason(reason), kind)


@pytest.mark.parametrize(
    ("ranks", "message", "rank"),
    [([], "the process of a worker died", None), ([2], "the process of rank 2 died", 2), ([1, 3], "rank 1, 3", 1)],
)
def test_a_loss_names_its_ranks_and_keeps_the_end_of_rays_account(
    ranks: list[int], message: str, rank: int | None
) -> None:
    decision = decide(GroupFailure(lost_ranks=ranks, account="x" * 30_000 + "end"), History(), RestartsSpec())
    assert message in decision.error.message
    assert decision.error.rank == rank
    assert decision.error.traceback is not None
    assert decision.error.traceback.endswith("end")
    assert len(decision.error.traceback) == 20_000


def test_an_error_is_handed_on_as_the_rank_told_it() -> None:
    told = replace(error("ValueError", file="model.py"), line=12, rank=3, fix="mend it")
    assert decide(GroupFailure(errors=[told]), History(), RestartsSpec()).error == told


HANG = Hang(rank=1, phase="train", epoch=2, step=7, limit_s=60.0)
SETUP_HANG = Hang(rank=0, phase="setup", epoch=0, step=0, limit_s=600.0)
OOM = """A worker died: OutOfMemoryError.
Memory on the node (IP: 10.0.0.7, ID: ab) where the actor was running was 7.6GB / 8.0GB (0.95), above the threshold."""
AT_STEP_7: dict[str, Any] = {"position": (2, 7), "lost_ranks": [1]}


@pytest.mark.parametrize(
    ("facts", "past", "restart", "budget", "reason", "kind", "words"),
    [
        pytest.param(
            {"lost_ranks": [1], "position": (2, 7)}, {}, True, "max", "worker_lost", "WorkerLost",
            "the process of rank 1 died in epoch 3, step 7; restart 1 of 3", id="a worker is lost in training",
        ),
        pytest.param(
            {"lost_ranks": [1], "started": False}, {}, True, "startup", "worker_lost", "WorkerLost",
            "before its first step; restart 1 of 5", id="a worker is lost at start-up",
        ),
        pytest.param(
            {"lost_ranks": [1], "started": False}, {"startups": 5}, False, "", "worker_lost", "WorkerLost",
            "no restart is left of the 5 that restarts.startup allows", id="start-up never works",
        ),
        pytest.param(
            {"lost_ranks": [1], "started": False}, {"restarts": 3}, True, "startup", "worker_lost", "WorkerLost",
            "restart 1 of 5", id="start-up has a budget of its own",
        ),
        pytest.param(
            {"errors": [error("UnknownError", "Could not start gRPC server")], "started": False}, {},
            True, "startup", "worker_lost", "PortTaken", "rank 0 could not listen", id="a port is taken",
        ),
        pytest.param(
            {"errors": [error("UnknownError", "Could not start gRPC server")]}, {},
            False, "", "user_code", "UnknownError", "Could not start", id="no port is taken in training",
        ),
        pytest.param(
            {"errors": [error("UnavailableError", "failed to connect")], "lost_ranks": [1], "started": False}, {},
            True, "startup", "worker_lost", "WorkerLost", "rank 1 died", id="who cannot join a dead rank is no cause",
        ),
        pytest.param(
            {"hang": HANG, "lost_ranks": [0, 1]}, {}, True, "max", "hung", "Hung",
            "no worker advanced for 60.0s; rank 1 stood still in epoch 3, step 7 (train); restart 1 of 3", id="a hang",
        ),
        pytest.param(
            {"hang": SETUP_HANG, "lost_ranks": [0], "started": False}, {}, True, "max", "hung", "Hung",
            "rank 0 stood still in its set-up", id="a hang at start-up is no start-up fault",
        ),
        pytest.param(
            {"hang": HANG, "errors": [error("ValueError", "broken")]}, {}, True, "max", "hung", "Hung",
            "no worker advanced", id="what ranks say that were killed for a hang",
        ),
        pytest.param(
            {"preempted": True, "lost_ranks": [1]}, {"restarts": 3}, True, "", "preempted", "Preempted",
            "a restart that is not counted", id="a node that was taken away",
        ),
        pytest.param(
            {"lost_ranks": [1], "account": OOM}, {}, True, "max", "worker_lost", "OutOfMemory",
            "ended for memory: Memory on the node (IP: 10.0.0.7", id="memory ran out",
        ),
        pytest.param(
            {"errors": [error("ObjectLostError", "gone\nfor good")], "position": (2, 7)}, {},
            True, "max", "worker_lost", "WorkerLost",
            "Ray failed rank 0 in epoch 3, step 7: ObjectLostError: gone; restart 1 of 3", id="Ray fails a rank",
        ),
        pytest.param(
            AT_STEP_7, {"last": GroupFailure(**AT_STEP_7).death}, False, "", "worker_lost", "WorkerLost",
            "twice at the same step", id="the same loss at the same step",
        ),
        pytest.param(
            {"hang": HANG, "position": (2, 7)}, {"last": GroupFailure(hang=HANG, position=(2, 7)).death},
            False, "", "hung", "Hung", "twice at the same step", id="the same hang at the same step",
        ),
        pytest.param(
            AT_STEP_7, {"last": GroupFailure(position=(2, 8), lost_ranks=[1]).death},
            True, "max", "worker_lost", "WorkerLost", "restart 1", id="a loss at another step",
        ),
        pytest.param(
            AT_STEP_7, {"last": GroupFailure(position=(2, 7), lost_ranks=[0]).death},
            True, "max", "worker_lost", "WorkerLost", "restart 1", id="the loss of another rank",
        ),
    ],
)  # fmt: skip
def test_what_a_failure_is_charged_to(
    facts: dict[str, Any], past: dict[str, Any], restart: bool, budget: str, reason: str, kind: str, words: str
) -> None:
    decision = decide(GroupFailure(**facts), History(**past), RestartsSpec())
    assert (decision.restart, decision.reason, decision.error.kind) == (restart, Reason(reason), kind)
    assert decision.budget == budget
    assert words in decision.error.message


def test_failures_at_an_unknown_step_are_never_the_same() -> None:
    unknown = GroupFailure(lost_ranks=[1], started=False)
    past = History().after(unknown, "startup")
    assert decide(unknown, past, RestartsSpec()).restart


def test_the_wait_grows_until_something_is_done() -> None:
    assert [back_off_s(number) for number in (0, 1, 2, 3, 6, 50)] == [0, 1, 2, 4, 30, 30]

    past, waits = History(), []
    for step in range(5):
        failure = GroupFailure(lost_ranks=[0], position=(0, step), progressed=step == 3)
        decision = decide(failure, past, RestartsSpec(max=9))
        waits.append(decision.back_off_s)
        past = past.after(failure, decision.budget)
    assert waits == [0, 1, 2, 0, 0]
    assert past == History(restarts=5, in_a_row=1, last=failure.death)


def test_where_no_rank_is_known_ray_has_the_word() -> None:
    account = "Training failed due to controller error:\n\nno port could be had\n"
    decision = decide(GroupFailure(account=account, started=False), History(), RestartsSpec())
    assert "a worker died, before its first step: no port could be had; restart 1 of 5" in decision.error.message


def test_a_wait_is_told() -> None:
    decision: Decision = decide(GroupFailure(lost_ranks=[0]), History(in_a_row=3), RestartsSpec())
    assert decision.error.message.endswith("restart 1 of 3 in 4.00s")


@pytest.mark.parametrize(
    ("earlier", "now", "ends"),
    [
        # Steps of 50 ms: the place is known to a second or two.
        ({"position": (0, 6), "steps_per_s": 20.0}, {"position": (1, 1), "steps_per_s": 20.0}, True),
        ({"position": (0, 6), "steps_per_s": 20.0}, {"position": None}, True),
        ({"position": None}, {"position": None}, True),
        ({"position": (0, 6), "steps_per_s": 20.0}, {"position": (9, 0), "steps_per_s": 20.0}, False),
        ({"position": (0, 6), "steps_per_s": 20.0}, {"position": (1, 1), "progressed": True}, False),
        ({"position": (0, 6), "lost_ranks": [0]}, {"position": (0, 6)}, False),
        ({"position": (0, 6)}, {"position": (0, 6), "started": False}, False),
        ({"position": (0, 6)}, {"position": (0, 6), "preempted": True}, False),
    ],
)
def test_the_same_death_twice_is_told_from_heartbeats(earlier: dict[str, Any], now: dict[str, Any], ends: bool) -> None:
    lost: dict[str, Any] = {"lost_ranks": [1], "steps_per_epoch": 8}
    past = History(restarts=1, last=GroupFailure(**lost | earlier).death)
    decision = decide(GroupFailure(**lost | now), past, RestartsSpec(max=9))
    assert decision.restart is not ends
    assert ("twice at the same step" in decision.error.message) is ends


def test_what_ray_says_of_any_death_is_no_account_of_memory() -> None:
    account = "The actor died unexpectedly: potential root causes include that it was killed by SIGKILL by OOM killer"
    assert decide(GroupFailure(lost_ranks=[0], account=account), History(), RestartsSpec()).error.kind == "WorkerLost"
