from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from raytrain.spec.job import JobSpec
from raytrain.spec.secret_checks import secret_problems
from raytrain.spec.tracking import missing_packages


def job(*tracking: Any) -> JobSpec:
    data = {"train": {"inline": {"x": [0.0]}}, "features": "x"}
    return JobSpec.model_validate({"name": "a", "model": "m.py:build", "data": data, "tracking": list(tracking)})


def test_a_name_stands_for_a_tracker_without_options() -> None:
    shorts: list[Any] = ["mlflow", {"mlflow": None}, {"mlflow": {}}]
    for short in shorts:
        [tracker] = job(short).tracking
        assert (tracker.kind, tracker.mlflow and tracker.mlflow.uri) == ("mlflow", None)
    spec = job("tensorboard", {"wandb": {"mode": "offline"}})
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("pip", "missing"),
    [
        ((), ["tracking.0", "tracking.2"]),
        (("mlflow-skinny>=3", "wandb"), []),
        (("mlflow==3.1", "wandb[media]"), []),
        (("mlflowers",), ["tracking.0", "tracking.2"]),
        (("-r ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/needs.txt",), []),
    ],
)
def test_a_package_is_installed_or_asked_for(
    pip: Sequence[str], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"tensorboardX": object()}
    monkeypatch.setattr("importlib.util.find_spec", there.get)
    problems = missing_packages(job("mlflow", "tensorboard", "wandb").tracking, pip)
    assert [problem.field for problem in problems] == missing
    assert all("pip install" in problem.fix for problem in problems)


def test_a_key_within_a_server_s_address_is_refused() -> None:
    [problem] = secret_problems(job({"mlflow": {"uri": "https://ada:hunter2@mlflow"}}))
    assert problem.field == "tracking.0.mlflow.uri"
    assert "hunter2" not in str(problem)
