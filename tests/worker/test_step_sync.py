from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raytrain.worker import step_sync
from raytrain.worker.heartbeat import Position
from raytrain.worker.step_sync import StepSyncHook, TrainingLeft, chunk_steps, chunks_to_next, saves_by_steps


@pytest.mark.parametrize(
    ("mean_chunk_s", "chunks"), [(0.5, 1), (30.0, 1), (0.1, 5), (0.004, 125), (1e-5, 256), (0.0, 256)]
)
def test_a_sync_comes_about_twice_a_second(mean_chunk_s: float, chunks: int) -> None:
    assert chunks_to_next(mean_chunk_s) == chunks


@pytest.mark.parametrize(
    ("mean_step_s", "most", "steps"),
    [
        (2.0, 32, 1),
        (0.25, 32, 1),
        (0.1, 32, 2),
        (0.05, 32, 5),
        (0.05, 3, 3),
        (0.001, 32, 32),
        (0.001, 1, 1),
        (0.0, 32, 32),
    ],
)
def test_a_chunk_takes_about_a_quarter_second_and_never_more_steps_than_may_be(
    mean_step_s: float, most: int, steps: int
) -> None:
    assert chunk_steps(mean_step_s, most=most) == steps


@pytest.mark.parametrize(
    ("every", "chunk", "steps", "saved"),
    [
        (None, 1, 5, []),
        (1, 1, 5, [1, 2, 3, 4, 5]),
        (3, 1, 10, [3, 6, 9]),
        (12, 4, 40, [12, 24, 36]),
        (10, 4, 40, [8, 16, 24, 32, 40]),
        (2, 4, 12, [4, 8, 12]),
    ],
)
def test_no_more_steps_than_asked_are_repeated_unless_a_chunk_has_more(
    every: int | None, chunk: int, steps: int, saved: list[int]
) -> None:
    since, taken = 0, []
    for step in range(chunk, steps + 1, chunk):
        if saves_by_steps(step, since=since, chunk=chunk, every=every):
            taken.append(step)
            since = step
    assert taken == saved


def test_each_batch_of_a_validation_is_an_advance() -> None:
    position = Position()
    other: Any = None
    hook = StepSyncHook(
        *[other] * 5,
        rank=0,
        every_steps=None,
        every_chunk=False,
        at_epoch_begin=False,
        position=position,
        injector=other,
    )
    position.reach("epoch_end")
    before = position.now.advanced_at
    time.sleep(0.01)
    hook.on_test_batch_end(0)
    assert position.now.advanced_at > before


@pytest.mark.parametrize("due", [False, True])
def test_what_a_stop_saves_within_an_epoch_has_the_time_of_an_epochs_end(
    due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, told = Position(), []
    position.reach("train", 2, 6)
    saver = SimpleNamespace(
        is_due_by_time=False, save_within=lambda epoch, step, *, must: told.append((position.now, must))
    )
    feed: Any = SimpleNamespace(first_step=0, num_batches=9, most_chunk_steps=None, chunk_steps=1, next_steps=1)
    channel: Any = SimpleNamespace(asked=lambda: "stop")
    reporting: Any = SimpleNamespace(end=lambda *_, **__: None)
    monkeypatch.setattr(step_sync, "sum_over_workers", lambda strategy, values: values)
    hook = StepSyncHook(
        feed,
        channel,
        cast(Any, SimpleNamespace(num_replicas_in_sync=1)),
        reporting,
        cast(Any, saver),
        rank=0,
        every_steps=None,
        every_chunk=False,
        at_epoch_begin=False,
        position=position,
        injector=cast(Any, SimpleNamespace(kind_at=lambda epoch, step: None)),
    )
    hook.on_epoch_begin(2)
    hook._step = 7
    with pytest.raises(TrainingLeft):
        hook._vote({}, due=due)
    [(where, must)] = told
    assert (where.phase, where.epoch, where.step, must) == ("epoch_end", 2, 7, True)
    assert position.now.phase == "epoch_end", "it is written after that"
