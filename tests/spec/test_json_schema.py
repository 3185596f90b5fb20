from pathlib import Path
from typing import Any

import pytest

from raytrain.spec.json_schema import job_json_schema
from raytrain.spec.load import load_job
from raytrain.spec.scaffold import scaffold
from raytrain.spec.strict_yaml import read_yaml
from tests.spec.conftest import JOB_YAML, Write, refused

jsonschema = pytest.importorskip("jsonschema")
JOBS = sorted(Path(__file__).parents[2].glob("jobs/*/job.yaml"))
MINIMAL = read_yaml(JOB_YAML, "f").data


def errors(document: Any) -> list[str]:
    document = as_json(document)
    return [error.message for error in jsonschema.Draft202012Validator(job_json_schema()).iter_errors(document)]


def as_json(value: Any) -> Any:
    """As an editor sees it: JSON's maps have names for keys."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(job_json_schema())
    assert job_json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.parent.name)
def test_every_job_that_comes_with_it(file: Path) -> None:
    assert errors(read_yaml(file.read_bytes(), str(file)).data) == []


def test_the_jobs_were_found() -> None:
    assert len(JOBS) >= 8


def test_a_scaffolded_job(tmp_path: Path) -> None:
    yaml, _ = scaffold("mine", tmp_path)
    assert errors(read_yaml(yaml.read_bytes(), "f").data) == []


SHORT_FORMS: list[dict[str, Any]] = [
    {"compile": "model.py:compile_model"},
    {"fit": {"time_limit": "1h30m", "class_weight": {0: 1, 1: 2.0}}},
    {"fit": {"time_limit": 90}},
    {"scaling": {"workers": {"min": 2, "max": 8}, "queue_timeout": "2h"}},
    {"checkpoint": {"every_seconds": "1m"}},
    {"watchdog": {"setup": "10m", "step": 30, "checkpoint": "1h"}},
    {"environment": {"env_vars": {"A": 1, "B": "b"}}},
    {"callbacks": "model.py:build_model"},
    {"callbacks": [{"TerminateOnNaN": None}]},
    {"model": {"layers": [{"Input": {"shape": [64]}}, {"Flatten": None}]}, "compile": {"loss": "mse"}},
    {"data": {"train": {"csv": ["a.csv", "b.csv"]}, "features": "x", "label": {"out": "y"}}},
]
WRONG: list[dict[str, Any]] = [
    {"epochs": 3},
    {"model": "model"},
    {"model": {"file": "a", "run": "b"}},
    {"compile": "adam"},
    {"fit": {"time_limit": "5x"}},
    {"fit": {"time_limit": ""}},
    {"fit": {"epochs": "3"}},
    {"fit": {"class_weight": {"a": 1}}},
    {"model": {"layers": [{"Dense": {}, "Flatten": {}}]}, "compile": {}},
    {"data": {"train": {}}},
    {"data": {"train": {"sklearn": "digit"}}},
    {"scaling": {"workers": 0}},
    {"scaling": {"workers": {"min": 2}}},
    {"scaling": {"workers": {"min": 0, "max": 2}}},
    {"scaling": {"queue_timeout": -1}},
    {"checkpoint": {"every_seconds": 0}},
    {"watchdog": {"step": "soon"}},
    {"environment": {"env_vars": {"A": [1]}}},
    {"callbacks": "callbacks"},
    {"data": {"train": {"images": {"table": {"csv": "a.csv", "json": "b.json"}, "column": "x", "size": [2, 2]}}}},
]


@pytest.mark.parametrize("part", SHORT_FORMS, ids=str)
def test_short_forms_are_accepted(part: dict[str, Any]) -> None:
    assert errors(MINIMAL | part) == []


@pytest.mark.parametrize("part", WRONG, ids=str)
def test_it_refuses_what_the_spec_refuses(part: dict[str, Any], write_job: Write) -> None:
    assert errors(MINIMAL | part) != []
    overrides = [f"{key}={_flow(value)}" for key, value in part.items()]
    assert refused(write_job(), *overrides)


def test_a_name_is_optional(write_job: Write) -> None:
    nameless = {key: value for key, value in MINIMAL.items() if key != "name"}
    assert errors(nameless) == []
    assert load_job(str(write_job(JOB_YAML.replace("name: small\n", "")))).spec.name == "job"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return repr(value)
