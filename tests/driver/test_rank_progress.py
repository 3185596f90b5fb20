from __future__ import annotations

from raytrain.driver.rank_progress import RankProgress
from raytrain.protocol import Happened, Heartbeat, PhaseDone
from raytrain.run.events import EpochEnd


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def beat(
    rank: int, *, time: float = 0.0, stalled_s: float = 0.0, phase: str = "train", epoch: int = 0, step: int = 1
) -> Heartbeat:
    return Heartbeat(rank=rank, time=time, phase=phase, epoch=epoch, step=step, stalled_s=stalled_s, step_s=0.1)


def test_nobody_can_be_waited_for_before_the_processes_run() -> None:
    clock = Clock()
    progress = RankProgress(2, clock=clock)
    assert progress.states() == []
    progress.placed()
    clock.now += 5
    assert [(state.rank, state.phase, state.stalled_s) for state in progress.states()] == [
        (0, "setup", 5),
        (1, "setup", 5),
    ]


def test_ages_do_not_depend_on_the_workers_clock() -> None:
    clock = Clock()
    progress = RankProgress(1, clock=clock)
    progress.placed()
    progress.note(beat(0, time=5_000_007.0, stalled_s=7.0))
    clock.now += 3
    [state] = progress.states()
    assert (state.stalled_s, state.silent_s) == (10.0, 3.0)


def test_a_rank_that_advances_is_not_stalled() -> None:
    clock = Clock()
    progress = RankProgress(1, clock=clock)
    progress.placed()
    for second in range(100):
        clock.now += 1
        progress.note(beat(0, time=float(second), step=second))
    assert progress.states()[0].stalled_s == 0


def test_how_long_the_first_step_took_is_that_of_the_slowest_rank_by_its_own_clock() -> None:
    progress = RankProgress(2)
    progress.placed()
    for rank, model_at, first_step_at in ((0, 100.0, 107.0), (1, 5000.0, 5009.0)):
        progress.note(PhaseDone(rank=rank, time=model_at, name="model"))
        assert not progress.started
        progress.note(beat(rank))
        progress.note(PhaseDone(rank=rank, time=first_step_at, name="first_step"))
        progress._started_at = None
    assert [state.first_step_s for state in progress.states()] == [9.0, 9.0]


def test_the_group_has_started_with_any_ranks_first_step() -> None:
    messages = [
        PhaseDone(rank=0, time=0.0, name="first_step"),
        beat(1),
        Happened(rank=0, time=0.0, event=EpochEnd.measured(epoch=0, rank_seconds=[1.0], rank_rows=[1], metrics={})),
    ]
    for message in messages:
        progress = RankProgress(2)
        progress.note(PhaseDone(rank=0, time=0.0, name="model"))
        progress.note(beat(0, phase="setup"))
        assert not progress.started
        progress.note(message)
        assert progress.started


def test_the_position_is_the_furthest_and_none_in_set_up() -> None:
    progress = RankProgress(2)
    progress.note(beat(0, phase="setup"))
    assert progress.position is None
    progress.note(beat(0, epoch=1, step=2))
    progress.note(beat(1, epoch=0, step=9))
    assert progress.position == (1, 2)
