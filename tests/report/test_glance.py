"""The four answers at the top of the page, for every way in which a run may stand."""

from __future__ import annotations

import math

import pytest

from raytrain.errors import Failure
from raytrain.report.glance import did_it_learn, how_long, what_next, why_it_stopped
from raytrain.run import events
from raytrain.run.run_status import Reason, RunStatus
from raytrain.run.summary import RunSummary, summarize
from tests.cli import lives


def ended(status: str, reason: str, epochs: int = 2, error: Failure | None = None) -> RunSummary:
    told = [lives.epoch(number) for number in range(epochs)]
    return summarize(lives.RUN, [*lives.beginning(epochs=9), *told, *lives.ending(status, reason, error)])


@pytest.mark.parametrize(
    ("losses", "answer"),
    [
        ([], "No epoch has ended."),
        ([math.nan, math.nan], "Nobody can tell"),
        ([1.0], "One epoch tells little: loss 1.0000"),
        ([1.0, 0.5], "Yes: loss 1.0000 → 0.5000 in 2 epochs."),
        ([1.0, 0.99], "Hardly: loss"),
        ([1.0, 1.01], "Hardly: loss"),
        ([1.0, 2.0], "No: loss 1.0000 → 2.0000"),
        ([-1.0, -2.0], "Yes: loss"),
    ],
)
def test_whether_it_learned(losses: list[float], answer: str) -> None:
    told = [lives.epoch(number, loss=loss) for number, loss in enumerate(losses)]
    assert did_it_learn(summarize(lives.RUN, [*lives.beginning(), *told])).startswith(answer)


@pytest.mark.parametrize("reason", Reason)
def test_there_is_something_to_do_whatever_the_reason(reason: Reason) -> None:
    for status in ("SUCCEEDED", "FAILED", "STOPPED"):
        summary = ended(status, reason)
        assert all(what_next(summary))
        assert why_it_stopped(summary).startswith(f"{status}: ")


def test_an_error_names_its_place() -> None:
    error = Failure(kind="ValueError", message="no such class: 11", rank=1, file="model.py", line=7)
    told = why_it_stopped(ended("FAILED", "user_code", error=error))
    assert told.endswith("ValueError: no such class: 11 (model.py:7, rank 1)")
    assert what_next(ended("FAILED", "user_code", error=error)) == ["mend what is named above and submit the job again"]


def test_a_likely_cause_comes_with_advice() -> None:
    rising = [lives.epoch(number, val_loss=0.2 + 0.1 * number) for number in range(6)]
    summary = summarize(lives.RUN, [*lives.beginning(epochs=6), *rising, *lives.ending()])
    assert what_next(summary)[0].startswith("early stopping")


def test_a_run_that_goes_on_and_one_of_which_nobody_knows() -> None:
    going = summarize(lives.RUN, [*lives.beginning(), lives.epoch(0)])
    assert why_it_stopped(going) == "It goes on (RUNNING): training."
    assert how_long(going, lives.SUBMITTED_AT + 120).startswith("2m00s since the command so far, 8.00s to the first")
    assert what_next(going) == ["nothing: let it go on"]
    going.conclude(RunStatus.UNKNOWN)
    assert why_it_stopped(going).startswith("Nobody knows")
    assert "resume" in what_next(going)[0]


def test_a_run_that_waits_for_room_says_for_what() -> None:
    queued = events.Queued(run=lives.RUN, attempt=1, time=0.0, needs="2 GPU")
    waiting = summarize(lives.RUN, [*lives.beginning(), queued])
    assert why_it_stopped(waiting) == "It goes on (QUEUED): waiting for 2 GPU."
    assert what_next(waiting) == ["wait, ask for less, or enlarge the cluster"]
