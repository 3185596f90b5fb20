"""Rows without labels are preprocessed as features were, and labels' numbers are told by their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from raytrain.data.pipeline import Pipeline
from raytrain.data.preprocess.needed_steps import needed_steps
from raytrain.errors import UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.spec.preprocess_steps import Preprocess

STEPS = [
    {"impute": {"columns": ["a", "label"], "strategy": "most_frequent"}},
    {"standardize": {"columns": ["a", "b"], "into": ["a2", "b2"]}},
    {"concatenate": {"columns": ["a2", "c"], "into": "x"}},
    {"encode": {"columns": ["label"], "start": 1}},
]


def spec_of(**data: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "small",
            "model": {"layers": [{"Dense": {"units": 1}}]},
            "compile": {"loss": "mse"},
            "data": {
                "train": {"inline": [{"a": 1.0}]},
                "features": "x",
                "label": "label",
                "preprocess": STEPS,
                **data,
            },
        }
    )


def test_only_what_features_are_made_by_is_kept() -> None:
    kept = needed_steps([Preprocess.model_validate(step) for step in STEPS], ["x"])

    assert {index: (step.kind, step.columns, step.outputs) for index, step in kept.items()} == {
        0: ("impute", ["a"], ["a"]),
        1: ("standardize", ["a"], ["a2"]),
        2: ("concatenate", ["a2", "c"], ["x"]),
    }


def test_a_function_of_the_users_is_given_what_it_had_but_for_labels() -> None:
    steps = [*STEPS, {"python": "steps.py:change"}]
    kept = needed_steps([Preprocess.model_validate(step) for step in steps], ["x"], without=["label"])
    assert [(index, step.columns) for index, step in kept.items()] == [
        (0, ["a"]),
        (1, ["a", "b"]),
        (2, ["a2", "c"]),
        (4, []),
    ]


def test_rows_without_labels_come_to_the_same_features(tmp_path: Path) -> None:
    table = pa.table({"a": [1.0, None, 4.0], "b": [1.0, 2.0, 3.0], "c": [5, 6, 7], "label": ["no", "yes", "yes"]})
    fitted = Pipeline(spec_of(), tmp_path)
    fitted.fit(lambda: iter([table]))
    again = Pipeline.from_json(json.loads(json.dumps(fitted.to_json())), spec_of(), tmp_path)

    (features,) = again.for_features().apply(table.select(["c", "a"]))

    np.testing.assert_array_equal(features, fitted.apply(table)[0])
    assert again.decoded_classes("label") == {1: "no", 2: "yes"}
    with pytest.raises(UserCodeError, match="`a`"):
        again.for_features().columns_to_read(["c"])


def test_a_number_that_was_scaled_is_told_of(tmp_path: Path) -> None:
    spec = spec_of(preprocess=[{"standardize": {"columns": ["label"]}}], features="a")
    assert Pipeline(spec, tmp_path).changes_of_value("label") == ["standardize"]
    assert Pipeline(spec, tmp_path).decoded_classes("label") == {}
