"""Leases between real processes: who may write, who must wait, who must end."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.run import lease
from raytrain.run.lease import Lease, LeaseKeeper, LeaseTaken, claim, read_leases, wait_until_over
from raytrain.run.run_paths import RunPaths


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "digits-1")


def put(paths: RunPaths, other: Lease) -> Lease:
    paths.leases.mkdir(parents=True, exist_ok=True)
    (paths.leases / f"{other.attempt}.json").write_text(json.dumps(vars(other)))
    return other


def foreign(attempt: int, *, released: bool = False) -> Lease:
    """Of a machine that this one cannot look into."""
    return Lease(attempt=attempt, host="elsewhere", boot="x", pid=1, released=released)


def dead(attempt: int) -> Lease:
    """Of a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host, boot = lease._here()
    return Lease(attempt=attempt, host=host, boot=boot, pid=ended.pid)


def test_the_first_attempt_claims_at_once(paths: RunPaths) -> None:
    mine = claim(paths, 1)
    assert read_leases(paths) == [mine]
    assert (mine.pid, mine.is_over) == (os.getpid(), False)


def test_an_attempt_has_one_driver(paths: RunPaths) -> None:
    claim(paths, 1)
    with pytest.raises(LeaseTaken, match="attempt 1 of digits-1 has a driver already"):
        claim(paths, 1)


def test_of_fifty_at_once_one_gets_it(paths: RunPaths) -> None:
    won: list[int] = []

    def try_it(number: int) -> None:
        try:
            claim(paths, 2)
        except LeaseTaken:
            return
        won.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_late_driver_of_an_earlier_attempt_is_turned_away(paths: RunPaths) -> None:
    put(paths, foreign(3))
    with pytest.raises(LeaseTaken, match="attempt 3 of digits-1 was begun after attempt 2"):
        claim(paths, 2)


@pytest.mark.parametrize("before", [foreign(1, released=True), "dead"])
def test_one_who_has_ended_is_not_waited_for(paths: RunPaths, before: Lease | str) -> None:
    put(paths, dead(1) if isinstance(before, str) else before)
    began = time.monotonic()
    claim(paths, 2)
    assert time.monotonic() - began < 2


def test_one_who_may_live_is_waited_for_until_it_is_silent(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRE_S", 0.5)
    put(paths, foreign(1))
    began = time.monotonic()
    claim(paths, 2)
    assert 0.5 <= time.monotonic() - began < 5


def test_one_who_renews_lives(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "EXPIRE_S", 0.6)
    other = put(paths, foreign(1))
    ended = threading.Event()

    def renew() -> None:
        for beat in range(1000):
            if ended.wait(0.1):
                return
            put(paths, replace(other, beat=beat))

    renewing = threading.Thread(target=renew)
    renewing.start()
    assert wait_until_over(paths, other, within_s=1.5) is False
    ended.set()
    renewing.join()
    assert wait_until_over(paths, other, within_s=5.0) is True


def test_a_keeper_renews_and_releases(paths: RunPaths) -> None:
    mine = claim(paths, 1)
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.01):
        while read_leases(paths)[0].beat < 3:
            time.sleep(0.01)
    [last] = read_leases(paths)
    assert (last.released, last.is_over) == (True, True)


def test_a_keeper_goes_on_where_its_warning_cannot_be_printed(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    write, failures = lease._write, iter(range(3))

    def failing(to: RunPaths, renewed: Lease) -> None:
        if next(failures, None) is not None:
            raise OSError(errno.EIO, "Input/output error")
        write(to, renewed)

    mine = claim(paths, 1)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(lease, "_write", failing)
    monkeypatch.setattr(sys, "stdout", closed)
    began = time.monotonic()
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.01):
        while read_leases(paths)[0].beat < 5:
            assert time.monotonic() - began < 10
            time.sleep(0.01)


def test_a_keeper_learns_that_it_has_lost_the_run(paths: RunPaths) -> None:
    lost = threading.Event()
    with LeaseKeeper(paths, claim(paths, 1), lost=lambda attempt: lost.set(), every_s=0.01):
        put(paths, foreign(2))
        assert lost.wait(5)


def test_a_claim_that_is_not_written_yet_counts(paths: RunPaths) -> None:
    paths.leases.mkdir(parents=True)
    (paths.leases / "2.json").touch()
    (paths.leases / ".2.json.7.tmp").touch()
    assert [other.attempt for other in read_leases(paths)] == [2]
    with pytest.raises(LeaseTaken):
        claim(paths, 2)
