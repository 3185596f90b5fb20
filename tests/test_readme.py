"""README.md, held against the program: its commands, files, tables and examples, and the outputs that are cheap."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from raytrain.cli.main import VERBS, app, load_verb
from raytrain.cluster.local.cluster_processes import MARK
from raytrain.errors import ExitCode
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary
from raytrain.spec.checks import check_job
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.job import JobSpec
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold
from raytrain.spec.strict_yaml import read_yaml
from tests.spec.test_json_schema import errors

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "raytrain").rglob("*.py")))
# Set by raytrain for itself, not by people.
INTERNAL_VARIABLES = {MARK}
# What is run here: it starts nothing and sends nothing.
CHEAP = {"init", "validate", "plan"}

runner = CliRunner()


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def block_with(language: str, words: str) -> str:
    [found] = [block for block in blocks(language) if words in block]
    return found


def prose() -> str:
    """The text without its code blocks."""
    return re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)


def table(head: str) -> list[list[str]]:
    """The cells of the rows of the table whose first column is headed `head`."""
    lines = iter(TEXT.splitlines())
    assert any(line.startswith(f"| {head} |") for line in lines), head
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def words_of(line: str) -> list[str]:
    """A command line's words after `raytrain`; comments and redirections left out."""
    words = shlex.split(line, comments=True)
    return words[1 : words.index(">")] if ">" in words else words[1:]


def commands() -> Iterator[list[str]]:
    """Every `raytrain VERB …` of the README, in its code blocks and in its prose."""
    for block in blocks("sh"):
        for line in re.split(r"\n|&&", block):
            if re.match(r"\s*(\S*/)?raytrain\s", line):
                yield words_of(line.strip())
    for code in re.findall(r"`raytrain ([^`…]+)`", prose()):
        yield shlex.split(code)


COMMANDS = list(commands())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder with jobs/ in it, and no cluster anywhere."""
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RAYTRAIN_ADDRESS", "local")
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
    assert len(COMMANDS) > 20
    assert {words[0] for words in COMMANDS} >= CHEAP | {"submit", "watch", "status", "metrics", "logs", "down"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_is_understood(words: list[str]) -> None:
    """Its verb is one, and Typer takes its options and arguments; nothing is run."""
    verb, *rest = words
    assert verb in VERBS
    if rest and "--help" not in rest:
        load_verb(verb).make_context(verb, list(rest))


@pytest.mark.parametrize("words", [words for words in COMMANDS if any("jobs/" in w for w in words)], ids=" ".join)
def test_job_of_a_command_takes_its_overrides(words: list[str]) -> None:
    [job] = [word for word in words if word.startswith("jobs/")]
    overrides = [after for before, after in pairwise(words) if before == "--set"]
    load_job(str(ROOT / job), overrides=overrides)


def test_cheap_commands_run(folder: Path) -> None:
    for words in COMMANDS:
        if words[0] in CHEAP:
            code, output = run(*words)
            assert code == 0, (words, output)


def test_a_new_job_is_made_validated_and_planned_as_shown(folder: Path) -> None:
    same(block_with("text", "my_job/model.py"), run("init", "my_job")[1])
    [validate] = [words for words in COMMANDS if words[:2] == ["validate", "my_job"]]
    same(block_with("text", "is valid"), run(*validate)[1])
    plan, compared = [words for words in COMMANDS if words[:2] == ["plan", "my_job"]]
    same(block_with("text", "the plan"), run(*plan)[1])
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
    same(block_with("text", "global_batch_sise"), output)


def test_verbs() -> None:
    assert [row[0].strip("`") for row in table("verb")] == list(VERBS)


def test_exit_codes() -> None:
    assert [int(row[0]) for row in table("exit code")] == [int(code) for code in ExitCode]


def test_variables() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", "\n".join(row[0] for row in table("variable"))))
    in_code = set(re.findall(r"\bRAYTRAIN_[A-Z_]+\b", CODE)) - INTERNAL_VARIABLES
    assert {name for name in named if name.startswith("RAYTRAIN_")} == in_code
    assert {name for name in named if not re.search(rf"\b{name}\b", CODE)} == set()
    assert set(re.findall(r"\bRAYTRAIN_[A-Z_]+\b", TEXT)) <= in_code


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)
    assert {"demo", "test", "chaos", "conformance"} <= set(named) <= targets


def test_links_and_pictures_exist() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", TEXT)
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    assert len(targets) > 8
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            assert (ROOT / target).is_file(), target


@pytest.mark.parametrize("picture", re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT))
def test_picture_is_small(picture: str) -> None:
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) < 300_000


def test_every_job_is_in_the_table() -> None:
    rows = {re.sub(r"\[(.*?)\].*", r"\1", row[0]): row for row in table("job")}
    assert set(rows) == {path.parent.name for path in ROOT.glob("jobs/*/job.yaml")}
    for name, (_, _, command) in rows.items():
        assert command == f"`raytrain submit jobs/{name}`"


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.partition("\n")[0])
def test_example_is_accepted(text: str, tmp_path: Path) -> None:
    """A whole job stands for itself; a part takes the place of its keys in a new job."""
    scaffold("my_job", tmp_path)
    file = tmp_path / "my_job" / "job.yaml"
    if not text.startswith("name:"):
        keys = "|".join(re.findall(r"^(\w+):", text, re.MULTILINE))
        rest = re.sub(rf"^(?:{keys}):.*\n(?:[ ].*\n)*", "", file.read_text(), flags=re.MULTILINE)
        text = rest + text
    file.write_text(text)
    check_job(load_job(str(file.parent)))
    assert errors(read_yaml(file.read_bytes(), str(file)).data) == []


def test_fields() -> None:
    """Every field of the job spec, and of its data, has a place in the table, and nothing else has."""
    named = {name for row in table("field") for name in re.findall(r"`([\w.]+)`", row[0])}
    data = {f"data.{name}" for name in DataSpec.model_fields}
    assert named == set(JobSpec.model_fields) - {"data"} | data


def test_fields_named_in_the_old_way_exist() -> None:
    """Each part of the right-hand column that is a piece of a job is YAML of known keys."""
    for _, here in table("TensorFlow 1"):
        for code in re.findall(r"`(\w+: [^`]+)`", here):
            [key] = yaml.safe_load(code)
            assert key in {*JobSpec.model_fields, "Input", "Dense", "kernel_regularizer"}, code


def test_json_example_has_the_object_s_keys() -> None:
    [shown] = blocks("json")
    example: dict[str, Any] = json.loads(shown)
    real = RunSummary(run="x").to_json()
    assert list(example) == [key for key in real if key in example]
    assert set(example["timing"]) <= {*real["timing"], "phases"}


def test_files_of_a_run() -> None:
    named = {name.rstrip("/") for row in table("file") for name in re.findall(r"`([^`]+)`", row[0])}
    known = {value.name for name in vars(RunPaths) if isinstance(value := _path(name), Path)}
    assert named == known


def _path(name: str) -> Any:
    paths = RunPaths(Path("runs") / "x")
    return getattr(paths, name) if isinstance(vars(RunPaths)[name], property) else None
