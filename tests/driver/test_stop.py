"""What a stop leaves as the run's end, where there is nothing to save and the process ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from raytrain.driver.stop import Stop
from raytrain.events import types
from raytrain.run import RunPaths

WITHIN_S = 10


class Told:
    """Stands for the recorder."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def record(self, kind: type[types.Event], **fields: Any) -> None:
        assert kind is types.RunFinished
        self.ends.append((fields["status"], fields["reason"]))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set where the process would have ended."""
    before, ended = signal.getsignal(signal.SIGTERM), threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: ended.set())
    yield ended
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        pytest.param(lambda asked: os.kill(os.getpid(), signal.SIGTERM), "stopped_by_user", id="SIGTERM"),
        pytest.param(Stop.leave_node, "preempted", id="the driver's node goes"),
    ],
)
def test_a_stop_says_why(happen: Callable[[Stop], None], reason: str, ended: threading.Event, tmp_path: Path) -> None:
    told = Told()
    asked = Stop(RunPaths(tmp_path), cast(Any, told))
    happen(asked)
    assert ended.wait(WITHIN_S)
    assert told.ends == [("STOPPED", reason)]
    assert asked.wait(0)
    asked.leave_node()
    assert (str(asked.reason), len(told.ends)) == (reason, 1), "only the first counts"
