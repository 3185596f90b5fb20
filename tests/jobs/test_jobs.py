"""Every job of jobs/ is accepted, says what it teaches, and names only commands and files that exist."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from raytrain.spec.checks import check_job
from raytrain.spec.load import load_job
from tests.jobs.expectations import EXPECTED, JOBS

VERBS = {
    "submit",
    "validate",
    "plan",
    "status",
    "list",
    "watch",
    "logs",
    "metrics",
    "wait",
    "stop",
    "up",
    "down",
    "init",
}
NAMES = sorted(folder.name for folder in JOBS.iterdir() if (folder / "job.yaml").exists())


def commands_in(text: str) -> Iterator[list[str]]:
    """The `raytrain …` lines of a text, split into words."""
    for line in text.splitlines():
        words = line.lstrip(" #$").strip()
        if words.startswith("raytrain "):
            yield shlex.split(words, comments=True)


def check_command(words: list[str]) -> None:
    """A command of a document: its verb is one, its job is there, its overrides are accepted."""
    verb, *rest = words[1:]
    assert verb in VERBS
    jobs = [word for word in rest if word.startswith("jobs/")]
    overrides = [after for before, after in pairwise(rest) if before == "--set"]
    for job in jobs:
        load_job(str(JOBS.parent / job), overrides=overrides)


def test_the_table_names_every_job() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_job_is_accepted(name: str) -> None:
    job = load_job(str(JOBS / name))
    check_job(job)
    assert job.spec.name == name
    assert (job.spec.scaling.workers, job.spec.scaling.cpus_per_worker) == (2, 1)


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_steps_are_known_before_the_run(name: str) -> None:
    facts = check_job(load_job(str(JOBS / name)))
    expected = EXPECTED[name]
    if facts.rows is None:
        assert name == "binary_digits"  # its rows come from a function, which runs on the cluster only
        return
    assert {split: plan.rows for split, plan in facts.plans.items()} == expected.rows
    assert facts.plans["train"].steps == expected.steps_per_epoch
    assert sum(facts.plans["train"].rows_per_worker) == expected.rows["train"]


@pytest.mark.parametrize("name", NAMES)
def test_readme_says_what_it_teaches_and_its_commands_are_real(name: str) -> None:
    text = (JOBS / name / "README.md").read_text()
    assert text.startswith("Teaches ")
    commands = list(commands_in(text))
    assert commands[0] == ["raytrain", "submit", f"jobs/{name}"]
    for words in commands:
        check_command(words)


@pytest.mark.parametrize("path", sorted(JOBS.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_code_is_written_for_one_process(path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"keras", "numpy", "sklearn"}
    assert not [word for word in ("strategy", "replica", "distribut", "worker") if word in path.read_text().lower()]


@pytest.mark.parametrize("name", NAMES)
def test_folder_holds_nothing_but_what_the_job_needs(name: str) -> None:
    files = {path.name for path in (JOBS / name).iterdir() if path.is_file()}
    pictures = {name for name in files if name.endswith(".png")}
    named = (JOBS / name / "job.yaml").read_text()
    for extra in files - pictures - {"job.yaml", "README.md"}:
        assert extra in named
    assert not pictures or '"*.png"' in named  # pictures are for readers: they stay out of the upload


def test_pass_fail_needs_no_python() -> None:
    spec = load_job(str(JOBS / "pass_fail")).spec
    assert spec.model.layers is not None
    assert spec.data.train.kind == "inline"
    assert not list((JOBS / "pass_fail").glob("*.py"))


def test_numbers_mean_the_same_to_any_yaml_reader() -> None:
    """Our reader takes 1e-3 for a number, others for a string; the jobs write numbers that all agree on."""
    for name in NAMES:
        with (JOBS / name / "job.yaml").open() as file:
            plain = yaml.safe_load(file)
        optimizer = (plain.get("compile") or {}).get("optimizer", "")
        rate = optimizer.get("learning_rate", 0.0) if isinstance(optimizer, dict) else 0.0
        assert isinstance(rate, float), name
