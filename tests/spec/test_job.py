"""The schema's own rules; how its refusals read is in test_problems.py."""

from typing import Any

import pytest
from pydantic import ValidationError

from raytrain.spec.data_spec import DataSpec
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

BASE: dict[str, Any] = {"name": "a", "model": "model.py:f", "data": {"train": {"sklearn": "digits"}}}


def test_defaults() -> None:
    spec = JobSpec.model_validate(BASE)
    assert (spec.model.kind, spec.model.value) == ("python", "model.py:f")
    assert (spec.fit.epochs, spec.fit.global_batch_size, spec.scaling.workers) == (1, 32, 1)
    assert (spec.checkpoint.keep, spec.restarts.max, spec.storage) == (2, 3, "~/raytrain")


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        JobSpec.model_validate(BASE).name = "b"  # type: ignore[misc]


def test_there_is_an_epoch_to_train() -> None:
    assert JobSpec.model_validate(BASE | {"fit": {"epochs": 3, "initial_epoch": 2}}).fit.initial_epoch == 2
    with pytest.raises(ValidationError, match="expected initial_epoch below epochs, 3, got 3"):
        JobSpec.model_validate(BASE | {"fit": {"epochs": 3, "initial_epoch": 3}})


def test_every_part_survives_json() -> None:
    spec = JobSpec.model_validate(
        BASE
        | {
            "compile": "model.py:compile_model",
            "fit": {"class_weight": {0: 1.0, 7: 2}, "time_limit": "15m"},
            "callbacks": [{"TerminateOnNaN": None}],
            "data": {
                "train": {"inline": [{"a": 1, "b": None, "c": [1, 2.5]}]},
                "validation": {"csv": ["a.csv"]},
                "test": 0.25,
                "features": {"x": ["a", "c"]},
                "label": {"out": "b"},
            },
        }
    )
    request = JobRequest(run="a-1", attempt=1, submitted_at=1.5, spec=spec, storage="/runs")
    assert JobRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    ("parts", "features", "labels", "used"),
    [
        ({}, [], [], []),
        ({"features": "a", "label": "y"}, ["a"], ["y"], ["a", "y"]),
        (
            {"features": ["b", "a"], "label": "y", "weight": "w", "stratify": "y"},
            ["b", "a"],
            ["y"],
            ["b", "a", "y", "w"],
        ),
        ({"features": {"p": ["a", "b"], "q": "a"}, "label": {"o": "y", "u": "y"}}, ["a", "b"], ["y"], ["a", "b", "y"]),
        ({"features": "a", "stratify": "g"}, ["a"], [], ["a", "g"]),
    ],
)
def test_columns_in_use(parts: dict[str, Any], features: list[str], labels: list[str], used: list[str]) -> None:
    data = DataSpec.model_validate({"train": {"sklearn": "iris"}} | parts)
    assert (data.feature_columns, data.label_columns, data.used_columns) == (features, labels, used)
