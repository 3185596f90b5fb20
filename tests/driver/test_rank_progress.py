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
    pulse = RankProgress(2, clock=clock)
    assert pulse.states() == []
    pulse.placed()
    clock.now += 5
    assert [(state.rank, state.phase, state.stalled_s) for state in pulse.states()] == [
        (0, "setup", 5),
        (1, "setup", 5),
    ]


def test_ages_do_not_depend_on_the_workers_clock() -> None:
    clock = Clock()
    pulse = RankProgress(1, clock=clock)
    pulse.placed()
    pulse.note(beat(0, time=5_000_007.0, stalled_s=7.0))
    clock.now += 3
    [state] = pulse.states()
    assert (state.stalled_s, state.silent_s) == (10.0, 3.0)


def test_a_rank_that_advances_is_not_stalled() -> None:
    clock = Clock()
    pulse = RankProgress(1, clock=clock)
    pulse.placed()
    for second in range(100):
        clock.now += 1
        pulse.note(beat(0, time=float(second), step=second))
    assert pulse.states()[0].stalled_s == 0


def test_how_long_the_first_step_took_is_that_of_the_slowest_rank_by_its_own_clock() -> None:
    pulse = RankProgress(2)
    pulse.placed()
    for rank, model_at, first_step_at in ((0, 100.0, 107.0), (1, 5000.0, 5009.0)):
        pulse.note(PhaseDone(rank=rank, time=model_at, name="model"))
        assert not pulse.started
        pulse.note(beat(rank))
        pulse.note(PhaseDone(rank=rank, time=first_step_at, name="first_step"))
        pulse._started_at = None
    assert [state.first_step_s for state in pulse.states()] == [9.0, 9.0]


def test_training_goes_on_when_it_has_lasted_as_long_as_it_took_to_begin() -> None:
    clock = Clock()
    pulse = RankProgress(2, clock=clock)
    pulse.placed()
    clock.now += 40
    assert not pulse.goes_on
    pulse.note(PhaseDone(rank=0, time=0.0, name="first_step"))
    clock.now += 39
    pulse.note(beat(1))
    assert not pulse.goes_on
    clock.now += 1
    assert pulse.goes_on


def test_the_group_has_started_with_any_ranks_first_step() -> None:
    messages = [
        PhaseDone(rank=0, time=0.0, name="first_step"),
        beat(1),
        Happened(rank=0, time=0.0, event=EpochEnd.measured(epoch=0, rank_seconds=[1.0], rank_rows=[1], metrics={})),
    ]
    for message in messages:
        pulse = RankProgress(2)
        pulse.note(PhaseDone(rank=0, time=0.0, name="model"))
        pulse.note(beat(0, phase="setup"))
        assert not pulse.started
        pulse.note(message)
        assert pulse.started


def test_the_position_is_the_furthest_and_none_in_set_up() -> None:
    pulse = RankProgress(2)
    pulse.note(beat(0, phase="setup"))
    assert pulse.position is None
    pulse.note(beat(0, epoch=1, step=2))
    pulse.note(beat(1, epoch=0, step=9))
    assert pulse.position == (1, 2)
