"""Looking into real processes, running and stopped; those of other nodes are for the integration tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raytrain.driver.rank_processes import stacks_of

PROGRAM = """
def waits_for_a_neighbour():
    while True:
        sum(range(1000))
print("ready", flush=True)
waits_for_a_neighbour()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    yield started
    started.kill()
    started.communicate()


@pytest.mark.parametrize("stopped", [False, True])
def test_stacks_of_a_process(process: subprocess.Popen[str], stopped: bool) -> None:
    if stopped:
        process.send_signal(signal.SIGSTOP)
        while "stopped" not in Path(f"/proc/{process.pid}/status").read_text():
            time.sleep(0.01)

    text = stacks_of(process.pid)

    if "py-spy could not" in text:
        pytest.skip("this machine lets nobody look into a process")
    assert "waits_for_a_neighbour" in text
    assert "State:" in text
    assert process.poll() is None


def test_where_py_spy_is_missing_the_process_is_asked_itself(
    process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    text = stacks_of(process.pid)

    assert "py-spy could not read it" in text
    assert "State:" in text
    assert process.wait(10) == -signal.SIGUSR1  # this one has registered no handler


def test_stacks_of_a_process_that_has_gone(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert "could not read" in stacks_of(process.pid)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
