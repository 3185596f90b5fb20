"""The commands of all pages: each is understood, those that cost nothing are run, and come to the outputs shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raytrain.cli.main import VERBS, app, load_verb
from raytrain.errors import ExitCode
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold
from tests.docs.pages import PAGES, README, ROOT, block_with, blocks, flowers_csv, prose

# What is run here: it starts nothing and sends nothing.
CHEAP = {"init", "validate", "plan"}
# What stands in a command for a name of the reader's own.
PLACEHOLDERS = {"VERB", "NAME", "JOB", "RUN", "[JOB]"}
QUICKSTART = "docs/quickstart.md"

runner = CliRunner()


def words_of(line: str) -> list[str]:
    """A command line's words after `raytrain`; comments and redirections left out."""
    words = shlex.split(line, comments=True)
    return words[1 : words.index(">")] if ">" in words else words[1:]


def commands(page: str) -> Iterator[list[str]]:
    """Every `raytrain VERB …` of a page, in its code blocks and in its prose."""
    for block in blocks(page, "sh"):
        for line in re.split(r"\n|&&", block):
            if re.match(r"\s*(\S*/)?raytrain\s", line):
                yield words_of(line.strip())
    for code in re.findall(r"`raytrain ([^`…]+)`", prose(page)):
        if code != "VERB" and not code.startswith("-"):
            yield shlex.split(code)


COMMANDS = {page: list(commands(page)) for page in PAGES}
ALL = {f"{page}: {' '.join(words)}": words for page, listed in COMMANDS.items() for words in listed}
OF_JOBS = {name: words for name, words in ALL.items() if any(word.startswith("jobs/") for word in words)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder with jobs/ and the README's own job in it, and no cluster anywhere."""
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RAYTRAIN_ADDRESS", "local")
    (tmp_path / "flowers").mkdir()
    [job] = blocks(README, "yaml")
    (tmp_path / "flowers/job.yaml").write_text(job)
    (tmp_path / "flowers/flowers.csv").write_text(flowers_csv())
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    """The exit code and all that a terminal shows."""
    result = runner.invoke(app, list(words))
    return result.exit_code, result.output


def same(shown: str, real: str) -> None:
    """The same lines, but for the one that says which cluster there was."""
    kept = [[line for line in text.splitlines() if not line.startswith("  cluster ")] for text in (shown, real)]
    assert kept[0] == kept[1]


def test_there_are_commands() -> None:
    named = {words[0] for listed in COMMANDS.values() for words in listed}
    assert len(ALL) > 40
    assert named == set(VERBS)
    assert {words[0] for words in COMMANDS[README]} >= CHEAP | {"submit", "down"}


@pytest.mark.parametrize("words", ALL.values(), ids=ALL)
def test_command_is_understood(words: list[str]) -> None:
    """Its verb is one, and Typer takes its options and arguments; nothing is run."""
    verb, *rest = words
    assert verb in VERBS
    if rest and "--help" not in rest:
        load_verb(verb).make_context(verb, list(rest))


@pytest.mark.parametrize("words", OF_JOBS.values(), ids=OF_JOBS)
def test_job_of_a_command_takes_its_overrides(words: list[str]) -> None:
    [job] = [word for word in words if word.startswith("jobs/")]
    overrides = [after for before, after in pairwise(words) if before == "--set"]
    load_job(str(ROOT / job), overrides=overrides)


@pytest.mark.parametrize("page", [page for page in PAGES if any(words[0] in CHEAP for words in COMMANDS[page])])
def test_cheap_commands_run(page: str, folder: Path) -> None:
    if ["init", "my_job"] not in COMMANDS[page]:
        scaffold("my_job", folder)
    for words in COMMANDS[page]:
        if words[0] in CHEAP and not PLACEHOLDERS & {*words}:
            code, output = run(*words)
            assert code == 0, (words, output)


def test_a_new_job_is_made_validated_and_planned_as_shown(folder: Path) -> None:
    listed = COMMANDS[QUICKSTART]
    same(block_with(QUICKSTART, "text", "my_job/model.py"), run("init", "my_job")[1])
    [validate] = [words for words in listed if words[:2] == ["validate", "my_job"]]
    same(block_with(QUICKSTART, "text", "is valid"), run(*validate)[1])
    plan, compared = [words for words in listed if words[:2] == ["plan", "my_job"]]
    same(block_with(QUICKSTART, "text", "the plan"), run(*plan)[1])
    assert "no run of this job was timed yet" in run(*compared)[1]


def test_a_typo_is_refused_as_shown(folder: Path) -> None:
    scaffold("my_job", folder)
    file = folder / "my_job" / "job.yaml"
    right = file.read_text()
    file.write_text(
        right.replace("global_batch_size: 32", "global_batch_sise: 32").replace("epochs: 5", "epochs: five")
    )
    code, output = run("submit", "my_job")
    assert code == ExitCode.SPEC_REFUSED
    same(block_with(QUICKSTART, "text", "global_batch_sise"), output)
