"""`raytrain report`: the page where the user wants it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raytrain.cli.main import app
from tests.cli import lives


def report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    lives.write_log(tmp_path / "runs" / lives.RUN, lives.whole_life())
    return str(tmp_path / "runs" / lives.RUN)


def test_of_a_directory_alone(directory: str, tmp_path: Path) -> None:
    result = report(directory)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / lives.RUN}.html\n")
    assert "Did it learn?" in (tmp_path / f"{lives.RUN}.html").read_text()


def test_a_file_of_that_name_for_people_and_for_programs(directory: str, tmp_path: Path) -> None:
    assert report(directory, "--output", "json").stdout == f"{tmp_path / 'json'}\n"
    body = json.loads(report(directory, "-o", str(tmp_path / "a b.html"), "--json").stdout)
    assert body["report"] == str(tmp_path / "a b.html")
    assert body["bytes"] == (tmp_path / "a b.html").stat().st_size


def test_what_cannot_be_written_or_found(directory: str, tmp_path: Path) -> None:
    result = report(directory, "-o", str(tmp_path / "none" / "a.html"))
    assert result.exit_code == 2
    assert "expected  a file in a folder that can be written" in result.stderr
    (tmp_path / "runs" / lives.RUN / "events.jsonl").write_text("")
    (tmp_path / "runs" / lives.RUN / "spec.json").write_text("{}")
    assert report(directory).exit_code == 5
