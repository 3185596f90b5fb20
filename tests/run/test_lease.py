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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.run import lease
from raytrain.run.lease import MISSES, Lease, LeaseKeeper, LeaseTaken, claim, read_leases, wait_until_over
from raytrain.run.run_paths import RunPaths
from tests.s3 import S3, s3_server

EARLIER = Path(__file__).parent.parent / "earlier"
WITHIN_S = 20.0
WRITE = lease._write


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "digits-1")


def put(paths: RunPaths, other: Lease) -> Lease:
    paths.leases.mkdir(parents=True, exist_ok=True)
    (paths.leases / f"{other.attempt}.json").write_text(json.dumps(vars(other)))
    return other


def foreign(attempt: int, *, released: bool = False, every_s: float = 0.05) -> Lease:
    """Of a machine that this one cannot look into."""
    return Lease(attempt=attempt, host="elsewhere", boot="x", pid=1, released=released, every_s=every_s)


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


def test_a_dead_process_of_another_container_may_be_alive(paths: RunPaths) -> None:
    """Containers of one machine share its boot, maybe its name, and each has a process 7."""
    ended = dead(1)
    assert ended.is_over
    boot, _, namespace = ended.boot.partition("/")
    assert namespace.startswith("pid:")
    assert not replace(ended, boot=f"{boot}/pid:[1]").is_over


def test_one_who_may_live_is_waited_for_until_it_is_silent(paths: RunPaths) -> None:
    put(paths, foreign(1, every_s=0.1))
    began = time.monotonic()
    claim(paths, 2)
    assert MISSES * 0.1 <= time.monotonic() - began < WITHIN_S


@pytest.fixture
def renewing(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lease]:
    """A holder that takes 0.6 s from one renewal to the next and says so, looked at more often than it may miss."""
    monkeypatch.setattr(lease, "_LOOK_AGAIN_S", 0.02)
    other, ended = put(paths, foreign(1, every_s=0.6)), threading.Event()

    def renew() -> None:
        beat = 0
        while not ended.wait(0.6):
            beat += 1
            put(paths, replace(other, beat=beat))

    thread = threading.Thread(target=renew)
    thread.start()
    yield other
    ended.set()
    thread.join()


def test_one_who_renews_lives_however_slowly(paths: RunPaths, renewing: Lease) -> None:
    assert wait_until_over(paths, renewing, renewals=3) is False


def test_who_says_that_it_is_quick_is_waited_for_less(paths: RunPaths, renewing: Lease) -> None:
    """The other way round: what a holder notes is what counts."""
    put(paths, quick := replace(renewing, every_s=0.01))
    assert wait_until_over(paths, quick) is True


def test_a_watcher_that_stood_still_takes_nobody_for_dead(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of its looks a hundred renewals are due, and only what it sees counts."""
    clock, looks = [0.0], iter([0] * (MISSES - 1) + [1])
    monkeypatch.setattr(lease, "monotonic", lambda: clock[0])
    monkeypatch.setattr(lease, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + 100))
    other = foreign(1, every_s=1.0)
    monkeypatch.setattr(lease, "_read", lambda paths, attempt: replace(other, beat=next(looks)))
    assert wait_until_over(paths, other, renewals=1) is False


def test_a_storage_that_does_not_answer_makes_nobody_dead(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder could not renew either; afterwards it has all its renewals before it again."""
    answers: list[int | None] = [0] * (MISSES - 1) + [None] * (MISSES - 1) + [0] * (MISSES - 1) + [1]
    other = foreign(1, every_s=0.01)

    def read(paths: RunPaths, attempt: int) -> Lease:
        beat = answers.pop(0)
        if beat is None:
            raise OSError(errno.EIO, "Input/output error")
        return replace(other, beat=beat)

    monkeypatch.setattr(lease, "_read", read)
    assert wait_until_over(paths, other, renewals=1) is False
    assert answers == []


def test_a_storage_that_stays_away_is_an_error(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(paths: RunPaths, attempt: int) -> Lease:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(lease, "_read", away)
    with pytest.raises(OSError, match="Input/output error"):
        wait_until_over(paths, foreign(1, every_s=0.01))


def test_one_who_is_overtaken_while_it_waits_is_turned_away(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits does not renew yet, so the later one may not have waited for it."""
    put(paths, foreign(1))
    monkeypatch.setattr(lease, "wait_until_over", lambda paths, earlier: put(paths, foreign(3)))
    with pytest.raises(LeaseTaken, match="attempt 3 of digits-1 was begun after attempt 2"):
        claim(paths, 2)


def test_a_keeper_renews_and_releases(paths: RunPaths) -> None:
    mine = claim(paths, 1)
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.01):
        while read_leases(paths)[0].beat < 3:
            time.sleep(0.01)
    [last] = read_leases(paths)
    assert (last.released, last.is_over) == (True, True)


def failing_writes(monkeypatch: pytest.MonkeyPatch, times: int, *, slow_s: float = 0.0) -> None:
    """The first writes of a lease fail, and all take so long."""
    write, failures = lease._write, iter(range(times))

    def failing(to: RunPaths, renewed: Lease) -> None:
        time.sleep(slow_s)
        if next(failures, None) is not None:
            raise OSError(errno.EIO, "Input/output error")
        write(to, renewed)

    monkeypatch.setattr(lease, "_write", failing)


def until_beat(paths: RunPaths, beat: int) -> Lease:
    deadline = time.monotonic() + WITHIN_S
    while (last := read_leases(paths)[0]).beat < beat:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return last


def test_a_keeper_goes_on_where_its_warning_cannot_be_printed(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = claim(paths, 1)
    closed = io.StringIO()
    closed.close()
    failing_writes(monkeypatch, 3)
    monkeypatch.setattr(sys, "stdout", closed)
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.01):
        until_beat(paths, 5)


def test_an_outage_is_told_once(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = claim(paths, 1)
    failing_writes(monkeypatch, 5)
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.01):
        until_beat(paths, 2)
    assert capsys.readouterr().out.count("cannot be renewed") == 1


def test_a_holder_notes_how_long_its_renewals_take(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, with a slow store, and after a pause, which is then forgotten."""
    mine = replace(claim(paths, 1), every_s=0.02)
    failing_writes(monkeypatch, 1, slow_s=0.4)
    with LeaseKeeper(paths, mine, lost=lambda attempt: None, every_s=0.02):
        assert until_beat(paths, 1).every_s >= 0.4  # the first failed, and is in it
        assert until_beat(paths, 3).every_s >= 0.4
        monkeypatch.setattr(lease, "_write", WRITE)
        beat = read_leases(paths)[0].beat
        assert until_beat(paths, beat + 8).every_s < 0.3


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


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


def test_what_a_keeper_writes_is_in_the_store_at_once(s3: S3, tmp_path: Path) -> None:
    uri = s3.uri("runs", "digits-1")
    holder, reader = RunPaths(tmp_path / "holder", uri), RunPaths(tmp_path / "reader", uri)
    mine = claim(holder, 1)
    assert read_leases(reader) == [mine]
    with LeaseKeeper(holder, mine, lost=lambda attempt: None, every_s=0.05):
        until_beat(reader, 3)
    assert read_leases(reader)[0].released
    assert claim(RunPaths(tmp_path / "next", uri), 2).attempt == 2
    assert list(tmp_path.iterdir()) == [], "no copy is kept that could be older"


def test_a_keeper_learns_from_the_store_that_it_has_lost_the_run(s3: S3, tmp_path: Path) -> None:
    paths, lost = RunPaths(tmp_path, s3.uri("runs", "lost")), list[int]()
    told = threading.Event()

    def lose(attempt: int) -> None:
        lost.append(attempt)
        told.set()

    with LeaseKeeper(paths, claim(paths, 1), lost=lose, every_s=0.05):
        lease._write(paths, foreign(2))
        assert told.wait(WITHIN_S)
        time.sleep(0.3)
    assert lost == [2], "it is told once"


@pytest.mark.parametrize("run", sorted((EARLIER / "v0.1.0/runs").glob("*/attempts")), ids=lambda run: run.parent.name)
def test_leases_of_earlier_versions_are_read(run: Path) -> None:
    found = read_leases(RunPaths(run.parent))
    assert [item.attempt for item in found] == list(range(1, len(list(run.iterdir())) + 1))
    assert {(item.host, item.released, item.every_s) for item in found} == {("head-node", True, lease.RENEW_S)}


def test_what_a_later_version_adds_is_passed_over(paths: RunPaths) -> None:
    mine = put(paths, foreign(1))
    (paths.leases / "1.json").write_text(json.dumps(vars(mine) | {"mood": "good"}))
    assert read_leases(paths) == [mine]


def test_a_lease_that_cannot_be_read_is_one(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    put(paths, foreign(1))
    put(paths, foreign(2))

    def denied(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert read_leases(paths) == [Lease(attempt=1), Lease(attempt=2)]
