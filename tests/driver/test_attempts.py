from __future__ import annotations

from typing import Any

import pytest

from raytrain.driver.attempts import rule
from raytrain.run import Reason

ABORTED = "Collective ops is aborted by: worker 1 has gone"


def error(kind: str, message: str = "no", *, file: str | None = None, traceback: str = "") -> dict[str, Any]:
    return {"kind": kind, "message": message, "file": file, "line": None, "rank": 0, "traceback": traceback}


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
    ],
)
def test_rule(
    errors: list[dict[str, Any]], lost: list[int], restarts: int, most: int, restart: bool, reason: str, kind: str
) -> None:
    ruling = rule(errors=errors, lost_ranks=lost, failure="trace", restarts=restarts, max_restarts=most)
    assert (ruling.restart, ruling.reason, ruling.error["kind"]) == (restart, Reason(reason), kind)


@pytest.mark.parametrize(
    ("ranks", "message", "rank"),
    [([], "the process of a worker died", None), ([2], "the process of rank 2 died", 2), ([1, 3], "rank 1, 3", 1)],
)
def test_a_loss_names_its_ranks_and_keeps_the_end_of_rays_account(
    ranks: list[int], message: str, rank: int | None
) -> None:
    ruling = rule(errors=[], lost_ranks=ranks, failure="x" * 30_000 + "end", restarts=0, max_restarts=1)
    assert message in ruling.error["message"]
    assert ruling.error["rank"] == rank
    assert ruling.error["traceback"].endswith("end")
    assert len(ruling.error["traceback"]) == 20_000


def test_an_error_is_handed_on_as_the_rank_told_it() -> None:
    told = error("ValueError", file="model.py") | {"line": 12, "rank": 3, "fix": "mend it"}
    assert rule(errors=[told], lost_ranks=[], failure="", restarts=0, max_restarts=1).error == told
