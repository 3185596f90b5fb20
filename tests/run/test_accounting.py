"""Every second of a run is put down to one thing."""

from __future__ import annotations

from typing import Any

import pytest

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.accounting import Accounting, Spent
from raytrain.run.events import Event
from tests.cli import lives


def account(listed: list[Event]) -> Accounting:
    accounting = Accounting()
    for event in listed:
        accounting.add(event)
    return accounting


def at(moment: float) -> dict[str, Any]:
    return {"run": lives.RUN, "attempt": 1, "time": lives.SUBMITTED_AT + moment}


def epoch(moment: float, *, seconds: float, wait: float = 0.0) -> Event:
    return events.EpochEnd(
        **at(moment),
        epoch=0,
        metrics={},
        seconds=seconds,
        rows_per_s=1.0,
        rank_seconds=[seconds],
        rank_rows_per_s=[1.0],
        rank_wait_s=[wait],
    )


def test_a_whole_life_adds_up_to_its_length() -> None:
    spent = account(lives.whole_life()).seconds
    assert sum(spent.values()) == pytest.approx(20.0)
    assert (spent[Spent.DRIVER], spent[Spent.DATA]) == (3.0, 1.0)


def test_waiting_for_room_and_for_rows_is_told_from_work() -> None:
    begun = lives.beginning()[:1]
    spent = account(
        [
            *begun,
            events.Queued(**at(2), needs="2 GPU"),
            events.Placed(**at(32), ranks=[]),
            events.CheckpointSaved(**at(40), epoch=0, path="", seconds=2.0, blocked_s=0.5),
            epoch(52, seconds=18.0, wait=10.0),
        ]
    ).seconds
    assert (spent[Spent.ROOM], spent[Spent.BETWEEN]) == (30.0, 2.0)
    assert (spent[Spent.ROWS], spent[Spent.CHECKPOINTS], spent[Spent.TRAINING]) == (10.0, 0.5, 7.5)


def test_what_a_failure_cost() -> None:
    error = Failure(kind="WorkerLost", message="gone")
    again = lives.beginning()[0]
    spent = account(
        [
            again,
            epoch(10, seconds=5.0),
            events.GroupFailed(**at(14), error=error, retrying=True),
            epoch(30, seconds=6.0),
            events.RunFinished(**at(31), status="FAILED", reason="worker_lost"),
            events.Submitted(**(vars(again) | {"attempt": 2, "submitted_at": lives.SUBMITTED_AT + 100, "time": 0.0})),
        ]
    ).seconds
    assert (spent[Spent.LOST], spent[Spent.RESTARTS], spent[Spent.AWAY]) == (5.0, 10.0, 69.0)


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    spent = account([epoch(10, seconds=5.0), epoch(4, seconds=5.0), epoch(9, seconds=5.0)]).seconds
    assert all(value >= 0 for value in spent.values())
