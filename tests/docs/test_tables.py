"""The tables and lists of the pages, held to what the program has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from raytrain.cli.main import VERBS
from raytrain.cluster.local.cluster_processes import MARK
from raytrain.errors import ExitCode
from raytrain.report.alerts import ALERTS
from raytrain.report.exported_metrics import METRICS
from raytrain.report.glance import ADVICE
from raytrain.run.explanations import RULES
from raytrain.run.run_paths import RunPaths
from raytrain.run.summary import RunSummary
from raytrain.spec.data_spec import DataSpec
from raytrain.spec.job import JobSpec
from tests.conformance.cases import ROWS
from tests.docs.pages import CODE, PAGES, ROOT, blocks, codes, prose, section, table, tables

# Set by raytrain for itself, not by people.
INTERNAL_VARIABLES = {MARK}
TEXT = "\n".join(PAGES.values())
MAKEFILE = (ROOT / "Makefile").read_text()


def test_verbs() -> None:
    assert [codes(row[0]) for row in table("docs/cli.md", "verb")] == [[verb] for verb in VERBS]


def test_exit_codes() -> None:
    assert [int(row[0]) for row in table("docs/cli.md", "exit code")] == [int(code) for code in ExitCode]


def test_variables() -> None:
    listed = "\n".join(row[0] for row in table("docs/cli.md", "variable"))
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", listed))
    in_code = set(re.findall(r"\bRAYTRAIN_[A-Z_]+\b", CODE)) - INTERNAL_VARIABLES
    assert {name for name in named if name.startswith("RAYTRAIN_")} == in_code
    assert {name for name in named if not re.search(rf"\b{name}\b", CODE)} == set()
    assert set(re.findall(r"\bRAYTRAIN_[A-Z_]+\b", TEXT)) <= in_code
    assert set(re.findall(r"\bRAY_[A-Z_]+\b", TEXT)) <= named


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)
    assert {"demo", "test", "chaos", "conformance"} <= set(named) <= targets


def test_every_job_is_in_the_table() -> None:
    rows = {re.sub(r"\[(.*?)\].*", r"\1", row[0]): row for row in table("docs/quickstart.md", "job")}
    assert set(rows) == {path.parent.name for path in ROOT.glob("jobs/*/job.yaml")}
    for name, (_, _, command) in rows.items():
        assert command == f"`raytrain submit jobs/{name}`"


def fields_of(model: type[BaseModel]) -> dict[str, set[str]]:
    """The fields of each part of a model that is a model of its own."""
    found = {}
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found[name] = set(kind.model_fields)
    return found


def test_fields() -> None:
    """Every field of the job spec has a row in the section of its part, and nothing else has."""
    parts = {"The whole job": set(JobSpec.model_fields)} | fields_of(JobSpec)
    parts |= {f"data.{name}": fields for name, fields in fields_of(DataSpec).items() if name != "validation"}
    assert {"fit", "data", "data.train", "environment"} <= parts.keys()
    for heading, fields in parts.items():
        [(_, rows)] = tables(section("docs/job-spec.md", heading))
        named = {codes(row[0])[0] for row in rows}
        assert {name for name in named if "." not in name} == fields, heading


def test_every_field_says_its_type_and_what_it_is() -> None:
    empty = [
        f"{heading}: {row[0]}"
        for heading, text in [("The whole job", section("docs/job-spec.md", "The whole job")), *job_sections()]
        for _, rows in tables(text)
        for row in rows
        if not (row[1] and row[3] and row[4])
    ]
    assert empty == []


def job_sections() -> list[tuple[str, str]]:
    return [(name, section("docs/job-spec.md", name)) for name in fields_of(JobSpec)]


def test_fields_named_in_the_old_way_exist() -> None:
    """Each part of the right-hand column that is a piece of a job is YAML of known keys."""
    for _, here in table("docs/quickstart.md", "TensorFlow 1"):
        for code in re.findall(r"`(\w+: [^`]+)`", here):
            [key] = yaml.safe_load(code)
            assert key in {*JobSpec.model_fields, "Input", "Dense", "kernel_regularizer"}, code


def test_json_example_has_the_object_s_keys() -> None:
    [shown] = blocks("docs/cli.md", "json")
    example: dict[str, Any] = json.loads(shown)
    real = RunSummary(run="x").to_dict()
    assert list(example) == [key for key in real if key in example]
    assert set(example["timing"]) <= {*real["timing"], "phases"}


def test_files_of_a_run() -> None:
    named = {name.rstrip("/") for row in table("docs/watching.md", "file") for name in codes(row[0])}
    known = {value.name for name in vars(RunPaths) if isinstance(value := _path(name), Path)}
    assert named == known


def _path(name: str) -> Any:
    paths = RunPaths(Path("runs") / "x")
    return getattr(paths, name) if isinstance(vars(RunPaths)[name], property) else None


def test_likely_causes_are_those_that_there_are_rules_for() -> None:
    assert [codes(row[0])[0] for row in table("docs/watching.md", "kind")] == list(RULES)
    assert set(ADVICE) == set(RULES)


def test_gauges_are_those_that_are_exported() -> None:
    shown = [(codes(row[0])[0], row[1]) for row in table("docs/watching.md", "metric")]
    assert shown == [(f"{metric.series}{{{','.join(metric.labels)}}}", metric.help) for metric in METRICS]


def test_alerts_are_those_that_are_written() -> None:
    assert [codes(row[0])[0] for row in table("docs/watching.md", "alert")] == [alert.name for alert in ALERTS]


def test_the_matrix_of_exactness_is_the_one_that_is_run() -> None:
    """As many rows in each group, and nothing that was measured lies above what is allowed."""
    groups = [row.group for row in ROWS.values()]
    for cells in table("docs/exactness.md", "group (rows)"):
        group, count = re.findall(r"^([a-z ]+?)(?: \((\d+).*?\))?[:,]", cells[0] + ":")[0]
        assert groups.count(group) == int(count) if count else group in groups, cells[0]
        allowed = float(cells[-1])
        assert allowed in {row.tolerance for row in ROWS.values() if row.group == group}
        assert all(float(cell) <= allowed for cell in cells[1:-1] if cell != "-")
    assert {re.split(r"[ :(]", row[0])[0] for row in table("docs/exactness.md", "group (rows)")} >= {"models", "fit"}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    named = [code for code in codes(prose(page)) if re.match(r"(raytrain|tests|docs|benchmarks)/[\w/.-]*$", code)]
    assert [name for name in named if not (ROOT / name).exists()] == []
