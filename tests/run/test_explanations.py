"""Each rule speaks where its signs are, and none over runs that go well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.explanations import ONE_CLASS
from raytrain.run.summary import RunSummary, summarize
from tests.cli import lives

Curve = Callable[[int], float]


def run_of(
    loss: Sequence[float],
    *,
    val: Sequence[float] | None = None,
    wait: float = 0.02,
    seconds: float | Sequence[float] = 4.0,
    more: Sequence[events.Event] = (),
    **fields: Any,
) -> RunSummary:
    """A run of so many epochs on two ranks; rank 1 waits for rows for the share `wait` of each."""
    took = [seconds] * len(loss) if isinstance(seconds, float) else seconds
    ended = [
        events.EpochEnd.measured(
            run=lives.RUN,
            attempt=1,
            time=lives.SUBMITTED_AT + 10 + number,
            epoch=number,
            metrics={"loss": value, **({"val_loss": val[number]} if val else {})},
            rank_seconds=[took[number], took[number]],
            rank_rows=[700, 700],
            rank_wait_s=[0.01, wait * took[number]],
            **({"learning_rate": 0.01} | fields),
        )
        for number, value in enumerate(loss)
    ]
    return summarize(lives.RUN, [*lives.beginning(epochs=len(loss)), *ended, *more])


def said(summary: RunSummary) -> dict[str, str]:
    return {cause.kind: cause.text for cause in summary.explanations()}


def falling(epochs: int, end: float = 0.05) -> list[float]:
    return [end + 2.0 * 0.7**number for number in range(epochs)]


def test_a_rank_that_waits_for_rows() -> None:
    text = said(run_of(falling(6), wait=0.63))["input_bound"]
    assert text.startswith("input-bound: rank 1 waited for rows 63% of the time")
    assert "input_bound" not in said(run_of(falling(6), wait=0.63, seconds=0.05)), "no word of some milliseconds"
    assert "input_bound" not in said(run_of(falling(1), wait=0.9)), "the first epoch fills buffers"


def test_no_room_for_the_workers() -> None:
    queued = events.Queued(run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT, needs="2 GPU")
    waiting = summarize(lives.RUN, [*lives.beginning(), queued])
    assert said(waiting) == {"waiting_for_resources": "waiting for 2 GPU"}
    waiting.add(events.Placed(run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT, ranks=[]))
    assert said(waiting) == {}


def test_overfitting_is_dated() -> None:
    val = [1.0, 0.7, 0.6, 0.5, 0.55, 0.62, 0.7, 0.8]
    summary = run_of(falling(8), val=val)
    assert said(summary) == {"overfitting": "val_loss is rising since epoch 4 while loss falls: overfitting"}
    assert summary.to_dict()["explanations"] == [{"kind": "overfitting", "text": said(summary)["overfitting"]}]


@pytest.mark.parametrize(
    "val",
    [
        [1.0, 0.7, 0.6, 0.5, 0.7, 0.55, 0.6, 0.52],  # unsteady
        [1.0, 0.7, 0.6, 0.5, 0.5001, 0.5002, 0.5003, 0.5004],  # at rest
        [2.0, 0.5, 0.05, 0.04, 0.045, 0.046, 0.047, 0.048],  # by next to nothing of what was gained
        [1.0, 0.7, 0.6, 0.5, 0.45, 0.4, 0.5, 0.6],  # for two epochs
    ],
)
def test_a_validation_loss_that_does_not_rise_for_good_is_no_overfitting(val: list[float]) -> None:
    assert said(run_of(falling(8), val=val)) == {}


def test_a_loss_that_stands_still() -> None:
    text = said(run_of([2.3026] * 4))["loss_constant"]
    assert text == "the loss has stayed at 2.3026 in all 4 epochs: is the learning rate of 0.01 right?"
    assert said(run_of([2.3026] * 4, learning_rate=0.0))["loss_constant"].endswith("the learning rate is 0")
    assert said(run_of([*falling(3), *[0.05] * 20])) == {}, "it fell before"
    assert said(run_of([0.0] * 5)) == {}, "nothing is left to be learned"


def test_a_model_of_which_nothing_trains() -> None:
    built = events.ModelBuilt(run=lives.RUN, attempt=1, time=0.0, parameters=10, trainable_parameters=0)
    assert list(said(run_of([2.3] * 4, more=[built]))) == ["nothing_trains"]


def test_a_loss_that_grows_or_is_no_number() -> None:
    text = said(run_of([1.0, 5.0, 40.0, 900.0]))["diverged"]
    assert text == "the loss has grown from 1.0000 to 900.0000: a learning rate of 0.01 that is too high?"
    ended = events.RunFinished(run=lives.RUN, attempt=1, time=0.0, status="FAILED", reason="diverged")
    assert "no finite number" in said(run_of([1.0, math.nan], more=[ended]))["diverged"]


def test_labels_of_one_class() -> None:
    warned = events.Warned(run=lives.RUN, attempt=1, time=0.0, message=f"{ONE_CLASS} in `digit`: 3")
    assert said(run_of(falling(3), more=[warned]))["one_class"].endswith("the same label in `digit`: 3")


def test_epochs_that_become_slower() -> None:
    text = said(run_of(falling(15), seconds=[*[4.0] * 12, *[11.0] * 3]))["slowing_down"]
    assert "11.0s, 4.00s before" in text
    assert said(run_of(falling(15), seconds=[*[4.0] * 12, 11.0, 4.0, 4.0])) == {}


def test_workers_that_are_lost_again_and_again() -> None:
    head: dict[str, Any] = {"run": lives.RUN, "attempt": 1, "time": lives.SUBMITTED_AT}
    error = Failure(kind="WorkerLost", message="gone")
    lost = [
        events.WorkerLost(**head, message="gone", ranks=[1]),
        events.GroupFailed(**head, error=error, retrying=True),
    ]
    assert said(run_of(falling(3), more=lost)) == {}
    assert "2 times for rank 1" in said(run_of(falling(3), more=[*lost, *lost]))["restarting"]


# Curves as good runs have them: of several speeds, with the noise of small validation sets and of rates that restart.
@given(
    epochs=st.integers(1, 60),
    start=st.floats(0.1, 10),
    end=st.floats(0.001, 1),
    speed=st.floats(0.3, 0.97),
    gap=st.floats(0, 0.5),
    noise=st.lists(st.floats(-0.04, 0.04), min_size=60, max_size=60),
    waits=st.floats(0, 0.25),
    seconds=st.floats(0.05, 600),
)
def test_no_false_alarm_over_runs_that_go_well(
    epochs: int, start: float, end: float, speed: float, gap: float, noise: list[float], waits: float, seconds: float
) -> None:
    loss = [end * 0.5 + (start + end) * speed**number for number in range(epochs)]
    val = [(value + gap * end) * (1 + noise[number]) for number, value in enumerate(loss)]
    slow = [seconds * (1 + 5 * noise[number]) for number in range(epochs)]
    summary = run_of(loss, val=val, wait=waits, seconds=slow, more=lives.ending())
    assert said(summary) == {}


def test_a_whole_life_without_anything_to_explain() -> None:
    assert summarize(lives.RUN, lives.whole_life()).to_dict()["explanations"] == []
