from __future__ import annotations

import threading
import time
from time import monotonic

import pytest

from raytrain.driver.recorder import Recorder
from raytrain.driver.sinks.sink import SinkThread
from raytrain.run import events
from raytrain.run.summary import RunSummary
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

WITHIN_S = 30.0


class Kept:
    """Keeps what it is told, and when it is closed; may sleep or raise first."""

    def __init__(self, *, sleeps_s: float = 0.0, raises: Exception | None = None) -> None:
        self.sleeps_s, self.raises = sleeps_s, raises
        self.epochs: list[int] = []
        self.refused = threading.Semaphore(0)
        self.closed = threading.Event()

    def take(self, event: events.Event, summary: RunSummary) -> None:
        time.sleep(self.sleeps_s)
        if (error := self.raises) is not None:
            self.refused.release()
            raise error
        self.epochs.append(len(summary.epochs))

    def close(self) -> None:
        self.closed.set()


def recorder_of(*sinks: SinkThread) -> Recorder:
    data = {"train": {"inline": {"x": [0.0]}}, "features": "x"}
    spec = JobSpec.model_validate({"name": "case", "model": "model.py:build_model", "data": data})
    return Recorder(JobRequest(run="case-1", attempt=1, submitted_at=0.0, spec=spec, storage="/s"), [], sinks)


def ended(epoch: int) -> events.EpochEnd:
    return events.EpochEnd.measured(epoch=epoch, rank_seconds=[1.0], rank_rows=[8], metrics={"loss": 1.0})


def test_each_event_comes_with_what_all_up_to_it_add_up_to() -> None:
    kept = Kept()
    recorder = recorder_of(SinkThread(kept, "kept", keeps_all=True))
    for epoch in range(100):
        recorder.record(ended(epoch))
    recorder.close(within_s=WITHIN_S)
    assert kept.epochs == list(range(1, 101))
    assert kept.closed.is_set()


def test_a_sink_that_sleeps_holds_up_neither_the_run_nor_another_sink(capsys: pytest.CaptureFixture[str]) -> None:
    slow, quick = Kept(sleeps_s=300.0), Kept()
    recorder = recorder_of(SinkThread(slow, "a webhook"), SinkThread(quick, "kept", keeps_all=True))
    began = monotonic()
    for epoch in range(10):
        recorder.record(ended(epoch))
    recorder.close(within_s=0.5)
    assert monotonic() - began < 60.0
    assert quick.epochs == list(range(1, 11))
    assert "a webhook lacks the run's last events" in capsys.readouterr().out


def test_a_sink_that_raises_fails_nothing_and_is_told_of_the_next_event(capsys: pytest.CaptureFixture[str]) -> None:
    broken, other = Kept(raises=KeyError("loss")), Kept()
    recorder = recorder_of(SinkThread(broken, "the tracker"), SinkThread(other, "kept", keeps_all=True))
    recorder.record(ended(0))
    recorder.record(ended(1))
    assert broken.refused.acquire(timeout=WITHIN_S)
    assert broken.refused.acquire(timeout=WITHIN_S)
    broken.raises = None
    recorder.record(ended(2))
    recorder.close(within_s=WITHIN_S)
    assert (broken.epochs, other.epochs) == ([3], [1, 2, 3])
    assert capsys.readouterr().out.count("the tracker could not take in an event: 'loss'") == 1


def test_of_events_that_wait_for_a_status_only_the_newest_is_told() -> None:
    status = Kept(sleeps_s=0.2)
    recorder = recorder_of(SinkThread(status, "status.json", newest_only=True))
    for epoch in range(50):
        recorder.record(ended(epoch))
    recorder.close(within_s=WITHIN_S)
    assert status.epochs[-1] == 50
    assert len(status.epochs) < 10
