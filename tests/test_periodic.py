from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from raytrain.periodic import Periodic

WITHIN_S = 10.0


class Act:
    """Counts its calls, raises what it is given, and tells when it has been called so often."""

    def __init__(self, *errors: Exception | None, calls: int) -> None:
        self.errors, self.calls, self.made, self.reached = iter(errors), calls, 0, threading.Event()

    def __call__(self) -> None:
        self.made += 1
        if self.made >= self.calls:
            self.reached.set()
        error = next(self.errors, None)
        if error is not None:
            raise error


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What would have been printed: the thread's name and the error."""
    printed: list[str] = []

    def hook(args: threading.ExceptHookArgs) -> None:
        assert args.thread is not None
        printed.append(f"{args.thread.name}: {args.exc_value}")

    monkeypatch.setattr(threading, "excepthook", hook)
    yield printed


def test_it_is_called_until_it_is_left() -> None:
    act = Act(calls=3)
    with Periodic(act, every_s=0.01, name="test"):
        assert act.reached.wait(WITHIN_S)
    made = act.made
    assert not threading.Event().wait(0.1)
    assert act.made == made
    assert "test" not in [thread.name for thread in threading.enumerate()]


def test_the_first_call_comes_after_a_pause() -> None:
    act = Act(calls=1)
    with Periodic(act, every_s=60.0, name="test"):
        assert not act.reached.wait(0.1)
    assert act.made == 0


def test_leaving_waits_for_the_call_in_progress() -> None:
    begun, ended = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        ended.wait(0.3)
        ended.set()

    with Periodic(act, every_s=0.01, name="test"):
        assert begun.wait(WITHIN_S)
    assert ended.is_set()


def test_stopping_does_not_wait_for_it() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        assert may_end.wait(WITHIN_S)

    periodic = Periodic(act, every_s=0.01, name="test")
    periodic.start()
    assert begun.wait(WITHIN_S)
    periodic.stop()
    may_end.set()
    periodic.end()


def test_calls_end_when_one_of_them_says_so() -> None:
    made: list[int] = []

    def act() -> None:
        made.append(1)
        if len(made) == 2:
            periodic.stop()

    with (periodic := Periodic(act, every_s=0.01, name="test")):
        periodic._thread.join(WITHIN_S)
    assert len(made) == 2


def test_an_error_is_told_and_the_calls_go_on(told: list[str]) -> None:
    act = Act(ValueError("bad"), calls=3)
    with Periodic(act, every_s=0.01, name="raytrain-test"):
        assert act.reached.wait(WITHIN_S)
    assert told == ["raytrain-test: bad"]


def test_an_error_that_repeats_itself_is_told_once(told: list[str]) -> None:
    act = Act(*(ValueError(text) if text else None for text in ("a", "a", "b", "", "b")), calls=6)
    with Periodic(act, every_s=0.01, name="test"):
        assert act.reached.wait(WITHIN_S)
    assert told == ["test: a", "test: b", "test: b"]


def test_an_error_that_cannot_be_printed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(args: threading.ExceptHookArgs) -> None:
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(threading, "excepthook", closed)
    act = Act(KeyError("lost"), calls=2)
    with Periodic(act, every_s=0.01, name="test"):
        assert act.reached.wait(WITHIN_S)
