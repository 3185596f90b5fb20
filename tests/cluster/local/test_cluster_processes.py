"""Tests that a cluster's processes are found, and that no other process is ever taken for one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from raytrain.cluster.local.cluster_processes import (
    MARK,
    ProcessId,
    cluster_processes,
    end,
    identify,
    is_alive,
    session_of,
)

# A daemon with a child that leads a session of its own, as the drivers of Ray's jobs do.
_FAMILY = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def mark() -> Iterator[str]:
    mark = uuid.uuid4().hex
    yield mark
    end(cluster_processes(mark, session=None), grace_s=0)


def daemon(mark: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", _FAMILY],
        env={**os.environ, MARK: mark},
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.stdout.close()
    return started


def test_the_whole_family_is_found_and_ended(mark: str) -> None:
    head = daemon(mark)
    family = cluster_processes(mark, session=head.pid)

    assert len(family) == 2
    assert {session_of(member.pid) == head.pid for member in family} == {True, False}
    assert end(family, grace_s=2) == []
    assert cluster_processes(mark, session=None) == []
    head.wait()


def test_the_session_suffices_where_the_mark_was_lost(mark: str) -> None:
    head = daemon(mark)

    found = cluster_processes("another mark", session=head.pid)

    assert head.pid in [member.pid for member in found]
    end(cluster_processes(mark, session=head.pid), grace_s=0)
    head.wait()


def test_one_that_does_not_listen_is_made_to_end(mark: str) -> None:
    program = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    deaf = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, text=True
    )
    assert deaf.stdout is not None
    deaf.stdout.readline()
    deaf.stdout.close()
    began = time.monotonic()

    assert end(cluster_processes(mark, session=None), grace_s=0.2) == []
    assert time.monotonic() - began < 5
    deaf.wait()


def test_a_pid_that_another_process_has_now_is_not_taken_for_it() -> None:
    ourselves = identify(psutil.Process())
    assert ourselves is not None

    assert is_alive(ourselves)
    assert not is_alive(ProcessId(pid=ourselves.pid, began=ourselves.began - 10))


def test_a_process_stays_the_same_when_the_clock_is_set(set_the_clock: Callable[[float], None]) -> None:
    known = identify(psutil.Process())
    assert known is not None and known.since_boot is not None

    set_the_clock(3600)

    assert psutil.Process().create_time() == pytest.approx(known.began + 3600)
    assert is_alive(known)
    assert not is_alive(replace(known, since_boot=known.since_boot - 10))
    assert not is_alive(replace(known, since_boot=known.since_boot + 3600))


def test_a_process_that_ended_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    known = identify(psutil.Process(child.pid))
    assert known is not None
    deadline = time.monotonic() + 10
    while is_alive(known) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not is_alive(known)
    child.wait()


def test_who_asks_is_never_among_them() -> None:
    """`raytrain down` from within a job of the cluster must not end itself halfway."""
    found = cluster_processes("no such mark", session=os.getsid(0))
    parents = {parent.pid for parent in psutil.Process().parents()}

    assert not {os.getpid(), *parents} & {member.pid for member in found}
