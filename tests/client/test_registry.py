"""Tests of the memory of runs: what comes back in which order, and the files and databases of other versions."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from raytrain.client import registry
from raytrain.client.registry import RunRecord, database_path, newest, remember, remembered

Environ = dict[str, str]

EARLIER = Path(__file__).parent.parent / "earlier" / "v0.1.0" / "runs.jsonl"


def record(number: int) -> RunRecord:
    return RunRecord(
        run=f"digits-{number}",
        name="digits",
        address="http://h:1",
        storage="/s",
        submitted_at=number + 0.5,
        job="/j",
        attempt=number,
    )


def lines_of(environ: Environ) -> Path:
    """Where version 0.1 keeps the runs."""
    return database_path(environ).with_name("runs.jsonl")


def append(environ: Environ, *lines: str) -> None:
    """As version 0.1 would."""
    lines_of(environ).parent.mkdir(exist_ok=True)
    with lines_of(environ).open("a") as file:
        file.writelines(lines)


def line(kept: RunRecord) -> str:
    return json.dumps(asdict(kept)) + "\n"


def runs(environ: Environ) -> list[str]:
    return [known.run for known in remembered(environ)]


def test_what_was_remembered_comes_back_in_order(environ: Environ) -> None:
    for number in range(3):
        assert remember(record(number), environ) == ()

    assert remembered(environ) == [record(0), record(1), record(2)]


def test_nothing_was_remembered_yet(environ: Environ) -> None:
    assert remembered(environ) == []
    assert newest(20, environ) == ([], 0)
    assert not database_path(environ).parent.exists()


def test_a_run_submitted_again_counts_once_and_as_the_latest(environ: Environ) -> None:
    remember(record(1), environ)
    remember(record(2), environ)
    remember(RunRecord(run="digits-1", address="http://other:1"), environ)

    assert runs(environ) == ["digits-2", "digits-1"]
    assert remembered(environ)[-1].address == "http://other:1"


@pytest.mark.parametrize("limit", [2, None])
@pytest.mark.parametrize("appended", [False, True])
def test_the_newest_come_with_the_number_of_all(environ: Environ, limit: int | None, appended: bool) -> None:
    for number in range(4):
        remember(record(number), environ)
    if appended:
        append(environ, line(record(9)), line(record(1)))
    order = [1, 9, 3, 2, 0] if appended else [3, 2, 1, 0]

    assert newest(limit, environ) == ([record(number) for number in order[:limit]], len(order))


def test_the_newest_are_had_without_reading_all(environ: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    append(environ, line(record(1)))
    remember(record(2), environ)
    monkeypatch.delattr(registry, "remembered")

    assert newest(1, environ) == ([record(2)], 2)


@pytest.mark.parametrize(
    ("beginning", "found"), [("digits-1", ["digits-1", "digits-12"]), ("digits-%", []), ("\udcff", [])]
)
def test_those_that_begin_so(environ: Environ, beginning: str, found: list[str]) -> None:
    append(environ, line(record(1)), line(record(2)))
    remember(record(3), environ)
    append(environ, line(record(12)), line(record(20)))

    assert [known.run for known in remembered(environ, beginning=beginning)] == found


def test_nobody_else_may_read_it(environ: Environ) -> None:
    remember(record(1), environ)

    assert database_path(environ).stat().st_mode & 0o777 == 0o600
    assert list(database_path(environ).parent.iterdir()) == [database_path(environ)]  # neither marker nor journal


def test_a_file_name_that_is_no_utf_8_keeps_no_run_from_being_remembered(environ: Environ) -> None:
    append(environ, line(replace(record(1), job="/caf\udce9/\ud800")))
    remember(replace(record(2), job="/caf\udce9/job.yaml"), environ)

    assert remembered(environ) == [replace(record(1), job="/caf?/?"), replace(record(2), job="/caf?/job.yaml")]


class TestLinesOfVersion01:
    def test_are_read_before_anything_is_submitted_and_taken_in_then(self, environ: Environ) -> None:
        append(environ, EARLIER.read_text())
        ids = ["digits-20261130-0242-a2a0", "broken-20261130-0244-e89c", "resumed-20261130-0244-fa03"]

        assert runs(environ) == ids
        assert (remembered(environ)[-1].attempt, remembered(environ)[-1].job) == (2, "/srv/earlier/job/job.yaml")
        assert not database_path(environ).exists()

        before = remembered(environ)
        remember(record(1), environ)

        assert lines_of(environ).read_bytes() == EARLIER.read_bytes()
        lines_of(environ).unlink()
        assert remembered(environ) == [*before, record(1)]

    def test_appended_later_count_as_the_latest_and_once(self, environ: Environ) -> None:
        append(environ, line(record(1)))
        remember(record(2), environ)
        append(environ, line(record(3)), line(replace(record(2), attempt=7)))

        assert runs(environ) == ["digits-1", "digits-3", "digits-2"]
        assert remembered(environ)[-1].attempt == 7

        remember(replace(record(2), attempt=8), environ)
        remember(record(4), environ)

        assert runs(environ) == ["digits-1", "digits-3", "digits-2", "digits-4"]
        assert remembered(environ)[-2].attempt == 8

    def test_half_written_are_taken_in_when_they_are_whole(self, environ: Environ) -> None:
        half, rest = line(record(1))[:20], line(record(1))[20:]
        append(environ, half)
        remember(record(2), environ)
        assert runs(environ) == ["digits-2"]

        append(environ, rest)

        assert runs(environ) == ["digits-2", "digits-1"]

    def test_whole_but_for_their_end_are_read(self, environ: Environ) -> None:
        append(environ, line(record(1)).rstrip())

        assert remembered(environ) == [record(1)]

    @pytest.mark.parametrize(
        "strange",
        [
            "[1]",
            '"x"',
            '{"name": "no run"}',
            '{"run": "torn", "na',
            '{"run": ["x"]}',
            '{"run": "x", "name": null}',
            '{"run": "x", "submitted_at": NaN}',
            '{"run": "x", "submitted_at": "now"}',
            '{"run": "x", "attempt": 1.5}',
            '{"run": "x", "attempt": 9223372036854775808}',
        ],
    )
    def test_that_are_none_are_skipped(self, environ: Environ, strange: str) -> None:
        append(environ, line(record(1)), f"{strange}\n", line(record(2)))

        assert remembered(environ) == [record(1), record(2)]
        remember(record(3), environ)
        assert remembered(environ) == [record(1), record(2), record(3)]

    def test_may_have_fields_of_a_later_version(self, environ: Environ) -> None:
        append(environ, json.dumps(asdict(record(1)) | {"colour": "red"}) + "\n")

        assert remembered(environ) == [record(1)]

    def test_of_another_file_are_read_from_its_beginning(self, environ: Environ) -> None:
        append(environ, line(record(1)), line(record(2)))
        remember(record(3), environ)
        lines_of(environ).write_text(line(record(4)))

        assert runs(environ) == ["digits-1", "digits-2", "digits-3", "digits-4"]


def test_a_database_of_a_later_version_is_read_and_written_as_far_as_known(environ: Environ) -> None:
    remember(record(1), environ)
    with closing(sqlite3.connect(database_path(environ))) as database:
        database.execute("ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'none'")
        database.execute("UPDATE runs SET colour = 'red'")
        database.execute("CREATE TABLE more (number INTEGER)")
        database.execute("PRAGMA user_version = 2")
        database.commit()

    assert remember(record(2), environ) == ()

    assert remembered(environ) == [record(1), record(2)]
    assert newest(1, environ) == ([record(2)], 2)
    with closing(sqlite3.connect(database_path(environ))) as database:
        assert database.execute("SELECT colour FROM runs").fetchall() == [("red",), ("none",)]
        assert database.execute("PRAGMA user_version").fetchall() == [(2,)]


def test_the_journal_is_no_wal(environ: Environ) -> None:
    remember(record(1), environ)

    with closing(sqlite3.connect(database_path(environ))) as database:
        assert database.execute("PRAGMA journal_mode").fetchall() == [("delete",)]


def test_a_command_that_asks_for_no_run_imports_neither_sqlite_nor_filelock() -> None:
    program = "import sys, raytrain.client.registry; print(*sys.modules.keys() & {'sqlite3', 'filelock'})"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == []
