"""The error boundary: what a verb raises becomes one panel, or one JSON object, and the exit code of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from raytrain import errors
from raytrain.cli.boundary import guard
from raytrain.errors import ExitCode, Problem, RaytrainError, SpecError

PROBLEM = Problem(
    got="unknown key `epohcs`",
    expected="one of epochs, seed",
    fix="did you mean `epochs`?",
    field="fit.epohcs",
    file="job.yaml",
    line=12,
)


def exit_code_of(verb: Callable[..., ExitCode | None], **options: Any) -> int:
    with pytest.raises(typer.Exit) as caught:
        guard(verb)(**options)
    return int(caught.value.exit_code)


def raising(error: BaseException) -> Callable[..., None]:
    def verb(**options: Any) -> None:
        raise error

    return verb


def test_a_verb_that_returns_nothing_is_ok() -> None:
    assert exit_code_of(lambda: None) == 0


def test_a_verbs_exit_code_is_the_process_exit_code() -> None:
    assert exit_code_of(lambda: ExitCode.RUN_STOPPED) == 11


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.SpecError, 3),
        (errors.ClusterError, 4),
        (errors.ClusterUnreachable, 4),
        (errors.ClusterIncompatible, 4),
        (errors.UploadTooLarge, 3),
        (errors.NotFound, 5),
        (errors.UserCodeError, 10),
        (errors.StateUnknown, 12),
        (errors.WaitTimedOut, 124),
    ],
)
def test_exit_codes(kind: type[RaytrainError], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(kind(PROBLEM))) == code

    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert kind.title in stderr


def test_a_panel_says_where_what_and_how_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    other = Problem(got="0", expected="1 or more", field="fit.epochs")
    exit_code_of(raising(SpecError(PROBLEM, other)))

    assert capsys.readouterr().err.splitlines() == [
        "error: The job is refused",
        "  job.yaml:12: fit.epohcs",
        "  got       unknown key `epohcs`",
        "  expected  one of epochs, seed",
        "  to mend   did you mean `epochs`?",
        "",
        "  fit.epochs",
        "  got       0",
        "  expected  1 or more",
    ]


def test_a_panel_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code_of(raising(SpecError(Problem(got="\x1b[2J\x07[red]evil[/red]", expected="text"))))

    assert "[red]evil[/red]" in capsys.readouterr().err


def test_json_errors_are_one_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    for options in ({"json": True}, {"output": "json"}):
        assert exit_code_of(raising(SpecError(PROBLEM)), **options) == 3

        stdout, stderr = capsys.readouterr()
        assert stdout == ""
        error = json.loads(stderr)["error"]
        assert (error["kind"], error["exit_code"]) == ("SpecError", 3)
        assert error["problems"] == [
            {
                "got": "unknown key `epohcs`",
                "expected": "one of epochs, seed",
                "fix": "did you mean `epochs`?",
                "field": "fit.epohcs",
                "file": "job.yaml",
                "line": 12,
            }
        ]


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


def test_typers_own_errors_pass_through() -> None:
    with pytest.raises(typer.BadParameter):
        guard(raising(typer.BadParameter("no")))()
    assert exit_code_of(raising(typer.Exit(7))) == 7


def test_anything_else_is_a_bug_with_its_traceback_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(raising(ZeroDivisionError("division by zero"))) == 1

    stderr = capsys.readouterr().err
    assert "This is a bug in raytrain" in stderr
    assert "ZeroDivisionError: division by zero" in stderr
    assert "Traceback" not in stderr
    [crash] = (tmp_path / "state").glob("crash-*.log")
    assert str(crash) in stderr.replace("\n", "")
    assert "Traceback (most recent call last)" in crash.read_text()


def test_a_bug_in_json_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(ZeroDivisionError("no")), json=True) == 1

    error = json.loads(capsys.readouterr().err)["error"]
    assert error["kind"] == "bug"
    assert Path(error["traceback_file"]).is_relative_to(tmp_path)


def test_a_bug_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "file" / "state"))

    assert exit_code_of(raising(ZeroDivisionError("no"))) == 1
    assert "RAYTRAIN_DEBUG=1" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RAYTRAIN_DEBUG", "1")

    exit_code_of(raising(SpecError(PROBLEM)))

    assert "Traceback (most recent call last)" in capsys.readouterr().err
