"""Tests of the memory of runs: torn lines, several writers, old and new fields."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from raytrain.client.registry import RunRecord, index_path, remember, remembered

Environ = dict[str, str]


def record(number: int) -> RunRecord:
    return RunRecord(run=f"digits-{number}", name="digits", address="http://h:1", storage="/s", submitted_at=number)


def test_what_was_remembered_comes_back_in_order(environ: Environ) -> None:
    for number in range(3):
        remember(record(number), environ)

    assert remembered(environ) == [record(0), record(1), record(2)]


def test_nothing_was_remembered_yet(environ: Environ) -> None:
    assert remembered(environ) == []


def test_a_run_submitted_again_counts_once_and_as_the_latest(environ: Environ) -> None:
    remember(record(1), environ)
    remember(record(2), environ)
    remember(RunRecord(run="digits-1", address="http://other:1"), environ)

    assert [known.run for known in remembered(environ)] == ["digits-2", "digits-1"]
    assert remembered(environ)[-1].address == "http://other:1"


def test_torn_and_foreign_lines_are_skipped(environ: Environ) -> None:
    remember(record(1), environ)
    path = index_path(environ)
    path.write_text(path.read_text() + '[1]\n"x"\n{"name": "no run"}\n{"run": "torn", "na')

    remember(record(2), environ)

    assert remembered(environ) == [record(1), record(2)]


def test_fields_of_a_later_version_are_left_out(environ: Environ) -> None:
    remember(record(1), environ)
    path = index_path(environ)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "red"}) + "\n")

    assert remembered(environ) == [record(1)]


def test_several_processes_append_at_once(environ: Environ) -> None:
    program = (
        "import sys\nfrom raytrain.client.registry import RunRecord, remember\n"
        "for number in range(50): remember(RunRecord(run=f'{sys.argv[1]}-{number}', job='x' * 500))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, name], env=environ | {"PATH": ""}, cwd=Path.cwd())
        for name in ("a", "b", "c")
    ]

    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(remembered(environ)) == 150
