from __future__ import annotations

from typing import Any

import pytest

from raytrain.driver.rank_progress import RankState
from raytrain.driver.watchdog import find_hang, limit_s
from raytrain.spec.job import WatchdogSpec

LIMITS = WatchdogSpec(setup=600.0, step=60.0, checkpoint=300.0)


def rank(number: int, phase: str = "train", **state: Any) -> RankState:
    return RankState(rank=number, phase=phase, **state)


@pytest.mark.parametrize(
    ("state", "limit"),
    [
        (rank(0, "setup"), 600),
        (rank(0, "train"), 60),
        (rank(0, "train", step_s=0.5), 60),
        (rank(0, "train", step_s=10.0), 200),
        (rank(0, "train", step_s=0.5, first_step_s=29.0), 60),
        (rank(0, "train", step_s=0.5, first_step_s=70.0), 140),
        (rank(0, "epoch_end", step_s=10.0, first_step_s=200.0), 300),
        (rank(0, "finish"), 300),
        (rank(0, "a phase of a later version"), 300),
    ],
)
def test_limits(state: RankState, limit: float) -> None:
    assert limit_s(state, LIMITS) == limit


@pytest.mark.parametrize(
    ("ranks", "slowest"),
    [
        pytest.param([], None, id="nobody runs yet"),
        pytest.param([rank(0, stalled_s=59), rank(1, stalled_s=61)], None, id="one still has time"),
        pytest.param([rank(0, stalled_s=61), rank(1, stalled_s=62)], 1, id="of equals the longest there"),
        pytest.param([rank(0, stalled_s=99, step=4), rank(1, stalled_s=61, step=3)], 1, id="the furthest behind"),
        pytest.param([rank(0, stalled_s=99, epoch=1), rank(1, stalled_s=61, epoch=0, step=9)], 1, id="an epoch behind"),
        pytest.param(
            [rank(0, stalled_s=99, step=4), rank(1, stalled_s=70, step=5, silent_s=70)], 1, id="a stopped process"
        ),
        pytest.param([rank(0, stalled_s=500, step=9), rank(1, "epoch_end", stalled_s=299)], None, id="one validates"),
        pytest.param([rank(0, stalled_s=500, step=9), rank(1, "epoch_end", stalled_s=301)], 1, id="validates too long"),
        pytest.param([rank(0, "setup", stalled_s=601), rank(1, "train", stalled_s=601)], 0, id="one is not set up"),
        pytest.param([rank(0, "finish", stalled_s=301), rank(1, "epoch_end", stalled_s=301)], 1, id="one has finished"),
        pytest.param(
            [rank(0, stalled_s=100, step_s=10.0), rank(1, stalled_s=100, step_s=10.0)], None, id="steps that take long"
        ),
        pytest.param(
            [rank(0, "epoch_end", epoch=1, step=6, stalled_s=70, silent_s=70), rank(1, epoch=2, step=1, stalled_s=70)],
            0,
            id="silent since between epochs, but the other had its part of a step of the next",
        ),
        pytest.param(
            [rank(0, "setup", stalled_s=70, silent_s=70), rank(1, epoch=2, step=1, stalled_s=70)],
            0,
            id="silent since its set-up, but the other had its part of a step",
        ),
        pytest.param(
            [rank(0, "epoch_end", epoch=1, step=6, stalled_s=70), rank(1, epoch=2, step=1, stalled_s=70)],
            None,
            id="heard to be between epochs still",
        ),
        pytest.param(
            [rank(0, "epoch_end", epoch=1, step=6, stalled_s=70, silent_s=70), rank(1, epoch=2, step=0, stalled_s=70)],
            None,
            id="silent, and perhaps still between epochs",
        ),
    ],
)
def test_who_holds_the_others_up(ranks: list[RankState], slowest: int | None) -> None:
    hang = find_hang(ranks, LIMITS)
    assert (hang.rank if hang else None) == slowest


def test_a_hang_tells_where_and_what_the_limit_was() -> None:
    hang = find_hang([rank(0, stalled_s=61.0, epoch=2, step=7)], LIMITS)
    assert hang is not None
    assert (hang.phase, hang.epoch, hang.step, hang.limit_s) == ("train", 2, 7, 60.0)
