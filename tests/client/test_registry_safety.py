"""Tests of the memory of runs where others write, die, hold on to it, or have damaged it."""

from __future__ import annotations

import errno
import fcntl
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raytrain.client import registry
from raytrain.client.registry import RunRecord, database_path, newest, remember, remembered
from tests.client.test_registry import Environ, append, line, lines_of, record, runs
from tests.permissions import give_up_root

THE_MARKER_ALONE = "registry._has_locks = lambda path: False\n"
LOCKS_ALONE = "from contextlib import nullcontext\nregistry._alone, registry._has_locks = nullcontext, bool\n"

# Pages are written before the end, since the cache has room for one.
HALF_ON_DISK = """
with registry._alone(registry.database_path()):
    database = registry._begun(registry.database_path())
    database.execute("PRAGMA cache_size = 1")
    database.execute("UPDATE runs SET attempt = attempt + 1")
    print("writing", flush=True)
    time.sleep(float(sys.argv[1]))
    database.execute("COMMIT")
"""


def python(program: str, *arguments: str, environ: Environ) -> subprocess.Popen[str]:
    program = f"import sys, time\nfrom raytrain.client import registry\n{program}"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environ | {"PATH": ""}, stdout=subprocess.PIPE, text=True
    )


def many(environ: Environ, count: int = 2000) -> None:
    """So many that the database, which alone has them, has pages of records only."""
    append(environ, *(line(record(number)) for number in range(count)))
    remember(record(count), environ)
    lines_of(environ).unlink()


@pytest.mark.parametrize(
    ("mount", "names"),
    [("", "abcdefgh"), (THE_MARKER_ALONE, "abcd"), (LOCKS_ALONE, "abcd")],
    ids=["both", "the marker alone", "locks alone"],
)
def test_several_processes_write_at_once(environ: Environ, mount: str, names: str) -> None:
    program = (
        f"registry._WRITE_WITHIN_S = 300.0  # each of them always wants to write, and the machine may be slow\n{mount}"
        "for number in range(50): registry.remember(registry.RunRecord(run=f'{sys.argv[1]}-{number}'))"
    )
    writers = [python(program, name, environ=environ) for name in names]
    for writer in writers:
        writer.communicate()

    assert [writer.returncode for writer in writers] == [0] * len(names)
    assert sorted(runs(environ)) == sorted(f"{name}-{number}" for name in names for number in range(50))


def test_what_another_writes_is_waited_for(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_READ_WITHIN_S", 60.0)
    many(environ)

    with python(HALF_ON_DISK, "0.3", environ=environ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        found = remembered(environ)

    assert found == [replace(record(number), attempt=number + 1) for number in range(2001)]


def kill_while_writing(program: str, environ: Environ) -> None:
    """Kills a process once it has printed a line."""
    with python(program, "600", environ=environ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.kill()


def test_a_process_killed_while_it_writes_leaves_what_was_there(environ: Environ) -> None:
    remember(record(1), environ)
    program = (
        "def hang(record): print('writing', flush=True); time.sleep(float(sys.argv[1]))\n"
        "registry._columns = hang\n"
        "registry.remember(registry.RunRecord(run='half'))"
    )

    kill_while_writing(program, environ)

    assert remembered(environ) == [record(1)]
    assert database_path(environ).with_name("runs.sqlite3.lock").exists()
    assert remember(record(2), environ) == ()
    assert remembered(environ) == [record(1), record(2)]


def test_a_process_killed_when_half_is_on_disk_leaves_what_was_there(environ: Environ) -> None:
    many(environ)
    kill_while_writing(HALF_ON_DISK, environ)

    assert Path(f"{database_path(environ)}-journal").stat().st_size > 0
    assert remembered(environ)  # read as it lies there
    assert remember(record(2001), environ) == ()
    assert remembered(environ) == [record(number) for number in range(2002)]


def test_a_marker_of_a_machine_that_went_down_is_taken_over(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MARKER_LASTS_S", 0.3)
    marker = database_path(environ).with_name("runs.sqlite3.lock")
    marker.parent.mkdir()
    marker.write_text("filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=ab\nduration=0.3\nstart=1\n")

    remember(record(1), environ)

    assert runs(environ) == ["digits-1"]


def test_a_marker_that_names_nobody_is_taken_over(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_WRITE_WITHIN_S", 0.3)
    marker = database_path(environ).with_name("runs.sqlite3.lock")
    marker.parent.mkdir()
    marker.touch()

    remember(record(1), environ)

    assert runs(environ) == ["digits-1"]


def test_a_marker_that_another_holds_for_long_is_told(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_WRITE_WITHIN_S", 0.3)
    remember(record(1), environ)

    with registry._alone(database_path(environ)), pytest.raises(OSError, match=r"runs\.sqlite3\.lock"):
        remember(record(2), environ)
    assert runs(environ) == ["digits-1"]


@contextmanager
def held(environ: Environ) -> Iterator[None]:
    with closing(sqlite3.connect(database_path(environ), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_a_database_that_is_locked_for_long_is_read_and_told(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_WRITE_WITHIN_S", 0.2)
    monkeypatch.setattr(registry, "_READ_WITHIN_S", 0.2)
    remember(record(1), environ)

    with held(environ):
        assert remembered(environ) == [record(1)]
        assert newest(1, environ) == ([record(1)], 1)
        with pytest.raises(OSError, match=r"runs\.sqlite3: database is locked"):
            remember(record(2), environ)


def test_a_mount_that_refuses_locks_is_written_under_the_marker(
    environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def lockf(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    class Refusing(sqlite3.Connection):
        def execute(self, *_: Any) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("database is locked")

    def on_mount(address: str, **settings: Any) -> sqlite3.Connection:
        lockless = "nolock=1" in address or "immutable=1" in address
        return connect(address, **settings, factory=sqlite3.Connection if lockless else Refusing)

    monkeypatch.setattr(sqlite3, "connect", on_mount)
    monkeypatch.setattr(fcntl, "lockf", lockf)

    remember(record(1), environ)
    remember(record(2), environ)

    assert remembered(environ) == [record(1), record(2)]


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_damaged_database_is_read_as_far_as_can_be_and_begun_anew(environ: Environ) -> None:
    many(environ)
    path = database_path(environ)
    overwrite(path, path.stat().st_size // 2, b"\xff" * 20_000)
    damaged = path.read_bytes()
    append(environ, line(record(5000)))

    readable = remembered(environ)
    assert 200 < len(readable) < 2000
    assert readable[:100] == [record(number) for number in range(100)]
    assert newest(20, environ) == (readable[:-21:-1], len(readable))
    [warning] = remember(record(5001), environ)

    assert remembered(environ)[-2:] == [record(5000), record(5001)]
    assert {known.run for known in readable} < set(runs(environ))
    [aside] = path.parent.glob("runs-damaged-*.sqlite3")
    assert aside.read_bytes() == damaged
    assert f"kept as {aside.name}" in warning
    assert remember(record(5002), environ) == ()


def test_another_file_in_its_place_is_set_aside(environ: Environ) -> None:
    append(environ, line(record(1)))
    path = database_path(environ)
    content = b"some other program's" * 200
    path.write_bytes(content)

    assert runs(environ) == ["digits-1"]
    assert len(remember(record(2), environ)) == 1
    assert runs(environ) == ["digits-1", "digits-2"]
    assert [file.read_bytes() for file in path.parent.glob("runs-damaged-*")] == [content]


def test_a_journal_goes_with_the_damaged_database_that_it_belongs_to(environ: Environ) -> None:
    many(environ)
    kill_while_writing(HALF_ON_DISK, environ)
    path = database_path(environ)
    shutil.move(path, path.with_name("half"))
    path.write_bytes(b"\xff" * 8192)
    registry._set_aside(path)

    remember(RunRecord(run="new"), environ)

    assert len(list(path.parent.glob("runs-damaged-*.sqlite3-journal"))) == 1
    assert runs(environ)[-1] == "new"


def test_a_home_that_may_only_be_read_is_read(environ: Environ) -> None:
    append(environ, line(record(1)))
    remember(record(2), environ)
    append(environ, line(record(3)))
    path = database_path(environ)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    program = (
        "print(*[record.run for record in registry.remembered()])\n"
        "try: registry.remember(registry.RunRecord(run='x'))\n"
        "except OSError as error: print(type(error).__name__)"
    )

    done = subprocess.run(
        [sys.executable, "-c", f"from raytrain.client import registry\n{program}"],
        env=environ | {"PATH": ""},
        preexec_fn=give_up_root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("digits-1 digits-2 digits-3\nPermissionError\n", "")


def test_where_no_file_can_be_the_runs_of_version_01_are_read(environ: Environ) -> None:
    append(environ, line(record(1)))
    database_path(environ).mkdir()

    assert remembered(environ) == [record(1)]
    with pytest.raises(OSError, match=r"runs\.sqlite3: unable to open database file"):
        remember(record(2), environ)


def test_where_no_folder_can_be_is_told(environ: Environ) -> None:
    database_path(environ).parent.write_text("a file")

    assert remembered(environ) == []
    with pytest.raises(OSError, match="File exists"):
        remember(record(1), environ)
