"""What a stop leaves as the run's end, where there is nothing to save and the process ends at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raytrain.driver import stop_signal
from raytrain.driver.rank_progress import RankState
from raytrain.driver.stop_signal import StopSignal
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from tests.driver.recorded import Recorded

WITHIN_S = 10

Act = Callable[[StopSignal], None]


def terminate(asked: StopSignal) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def ends(recorded: Recorded) -> list[tuple[str, str]]:
    return [(end.status, end.reason) for end in recorded.of(events.RunFinished)]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set where the process would have ended."""
    before, ended = signal.getsignal(signal.SIGTERM), threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: ended.set())
    yield ended
    signal.signal(signal.SIGTERM, before)


def stopping() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "raytrain-stop"]


@pytest.mark.parametrize(
    ("happen", "then", "reason"),
    [
        pytest.param(terminate, lambda asked: asked.leave_node(0), "stopped_by_user", id="SIGTERM"),
        pytest.param(lambda asked: asked.leave_node(0), terminate, "preempted", id="the driver's node goes"),
    ],
)
def test_a_stop_says_why(happen: Act, then: Act, reason: str, ended: threading.Event, tmp_path: Path) -> None:
    told = Recorded()
    asked = StopSignal(RunPaths(tmp_path), cast(Any, told))
    happen(asked)
    assert ended.wait(WITHIN_S)
    assert ends(told) == [("STOPPED", reason)]
    assert asked.wait(0)
    then(asked)
    for thread in stopping():
        thread.join(WITHIN_S)
    assert (str(asked.reason), len(ends(told))) == (reason, 1), "only the first counts"


def test_the_drivers_node_is_watched_from_the_start(
    ended: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, going = Recorded(), [{}, {"another": 0}, {"mine": 0}]
    monkeypatch.setattr(stop_signal, "draining_nodes", lambda: going.pop(0))
    monkeypatch.setattr(stop_signal, "own_node", lambda: "mine")
    monkeypatch.setattr(stop_signal, "_ASK_CLUSTER_EVERY_S", 0.01)
    StopSignal(RunPaths(tmp_path), cast(Any, told)).reach(
        SimpleNamespace(ask=SimpleNamespace(remote=lambda what: None))
    )
    assert ended.wait(WITHIN_S)
    assert (ends(told), len(told.of(events.Warned)), going) == ([("STOPPED", "preempted")], 1, [])


@pytest.mark.parametrize(("phase", "grace_s"), [("train", 45.0), ("epoch_end", 540.0), ("finish", 540.0)])
def test_what_is_written_has_longer_than_steps(
    phase: str, grace_s: float, ended: threading.Event, tmp_path: Path
) -> None:
    progress = SimpleNamespace(states=lambda: [RankState(rank=0, phase="train"), RankState(rank=1, phase=phase)])
    asked = StopSignal(RunPaths(tmp_path), cast(Any, Recorded()))
    asked.group_begins(cast(Any, None), cast(Any, progress))
    assert asked._grace_s() == grace_s


def test_workers_that_save_have_as_long_as_the_node_has(
    ended: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour is more than any grace; what is left of eleven seconds is one."""
    state = RankState(rank=0, phase="epoch_end", epoch=1, step=3, stalled_s=0.0, silent_s=0.0, step_s=1.0)
    progress = SimpleNamespace(started=True, states=lambda: [state])
    monkeypatch.setattr(stop_signal, "kill", lambda workers: None)
    told = Recorded()
    asked = StopSignal(RunPaths(tmp_path), cast(Any, told))
    asked.group_begins(cast(Any, SimpleNamespace(workers=[])), cast(Any, progress))
    asked.leave_node(int((time.time() + 11) * 1000))
    assert not ended.wait(0.3)
    assert ended.wait(WITHIN_S)
    assert ends(told) == [("STOPPED", "preempted")]
