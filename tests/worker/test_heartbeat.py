from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from raytrain import protocol
from raytrain.worker import heartbeat
from raytrain.worker.heartbeat import Position, beating


def test_a_thread_that_hangs_is_told_of_with_how_long_it_has_not_advanced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)
    sent: list[protocol.Message] = []
    position = Position()
    with beating(position, sent.append, rank=3):
        position.advance(0, 5)
        time.sleep(0.2)  # the training thread hangs
    assert len(sent) > 3
    last = sent[-1]
    assert isinstance(last, protocol.Heartbeat)
    assert (last.rank, last.phase, last.epoch, last.step) == (3, "train", 0, 5)
    assert 0.1 < last.stalled_s < 5
    count = len(sent)
    time.sleep(0.1)
    assert len(sent) == count


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_neither_makes_a_hang_nor_hides_one(step_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)
    sent: list[protocol.Message] = []
    position = Position()
    monkeypatch.setattr(heartbeat, "time", lambda: time.time() + step_s)
    with beating(position, sent.append, rank=0):
        time.sleep(0.2)
    last = sent[-1]
    assert isinstance(last, protocol.Heartbeat)
    assert 0.1 < last.stalled_s < 5


def test_the_median_leaves_the_first_chunk_out_as_soon_as_there_is_another() -> None:
    position = Position()
    assert position.step_s is None
    time.sleep(0.05)
    first = position.advance(0, 2)
    assert first >= 0.05
    assert position.step_s == first
    second = position.advance(0, 4)
    assert position.step_s == second


def test_rows_that_come_in_count_as_advancing_and_change_nothing_else() -> None:
    position = Position()
    position.advance(2, 5)
    reached, step_s = position.now, position.step_s
    time.sleep(0.01)
    position.touch()
    touched = position.now
    assert touched.advanced_at > reached.advanced_at
    assert replace(touched, advanced_at=reached.advanced_at) == reached
    assert position.step_s == step_s
    time.sleep(0.01)
    assert position.now == touched  # no more rows come in: it stands still
    position.reach("epoch_end", 2)
    assert position.now.advanced_at > touched.advanced_at


def test_stacks_are_written_on_a_signal_while_every_thread_hangs() -> None:
    program = """
import time
from raytrain.worker.heartbeat import stacks_on_signal
def hanging():
    print("hangs", flush=True)
    time.sleep(60)
with stacks_on_signal():
    hanging()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGUSR1)
    lines = [process.stderr.readline() for _ in range(3)]
    process.kill()
    process.communicate()
    assert any("in hanging" in line for line in lines)


def test_the_first_step_is_timed_from_where_steps_begin() -> None:
    position = Position()
    time.sleep(0.2)
    position.begin_steps()
    position.advance(0, 1)
    assert position.step_s is not None
    assert position.step_s < 0.1
