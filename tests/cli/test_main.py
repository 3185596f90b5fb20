"""The command as a whole: help, usage errors, completion, and verbs that are imported only to run."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from raytrain import __version__
from raytrain.cli.main import VERBS, app, load_verb
from raytrain.client.registry import RunRecord, remember

runner = CliRunner()


def test_help_lists_every_verb_with_its_line() -> None:
    result = runner.invoke(app, ["--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    for verb, line in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(line)}$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verbs_own_help_is_complete(verb: str) -> None:
    result = runner.invoke(app, [verb, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0, result.output
    assert VERBS[verb] in result.stdout
    assert f"Usage: raytrain {verb} [OPTIONS]" in result.stdout
    assert "--json" in result.stdout
    for parameter in load_verb(verb).params:
        assert parameter.help, f"{verb} {parameter.name} has no help"


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"raytrain {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sumbit"], "Did you mean 'submit'?"),
        (["submit"], "Missing argument 'JOB'"),
        (["status", "run", "--colour"], "No such option: --colour"),
        (["submit", "jobs/digits", "--workers", "many"], "--workers"),
        (["submit", "jobs/digits", "--timeout", "soon"], "duration"),
        (["logs", "run", "--tail", "-1"], "--tail"),
        ([], "Usage: raytrain"),
    ],
)
def test_usage_errors_are_2(arguments: list[str], words: str) -> None:
    result = runner.invoke(app, arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr


def test_completion_of_verbs_runs_and_options() -> None:
    def complete(words: str) -> list[str]:
        environment = {"_RAYTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return runner.invoke(app, [], prog_name="raytrain", env=environment).stdout.split()

    assert complete("raytrain sta") == ["status"]
    remember(RunRecord(run="digits-20261120-0715-4f2a"))
    assert complete("raytrain status dig") == ["digits-20261120-0715-4f2a"]
    assert "--detach" in complete("raytrain submit --d")
