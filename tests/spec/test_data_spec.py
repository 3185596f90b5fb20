from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.data_spec import DataSpec, Where
from raytrain.spec.preprocess_steps import Preprocess
from raytrain.spec.source_kinds import Source

INLINE = {"inline": {"a": [1]}}


def data(**parts: Any) -> DataSpec:
    return DataSpec.model_validate({"train": INLINE, "features": "a", "label": "y"} | parts)


def test_a_split_is_a_fraction_a_value_or_a_source() -> None:
    assert data(validation=0.25).validation == 0.25
    by_value = data(validation={"where": {"fold": [3, "x"]}}).validation
    assert isinstance(by_value, Where)
    assert (by_value.column, by_value.values) == ("fold", [3, "x"])
    assert isinstance(data(validation=INLINE).validation, Source)
    for spec in (data(test={"where": {"fold": 3}}), data(test=INLINE), data(test=0.5)):
        assert DataSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"validation": 0.6, "test": 0.4}, "expected validation + test < 1"),
        ({"validation": 0.6, "test": {"where": {"f": 1}}}, "both as fractions or both as where"),
        ({"validation": {"where": {"g": 1}}, "test": {"where": {"f": 1}}}, "expected where of one column, got g and f"),
        ({"validation": {"where": {"g": 1, "f": 1}}}, "at most 1 item"),
        ({"validation": {"where": {}}}, "at least 1 item"),
        ({"validation": 0.1, "group": "g", "stratify": True}, "expected group or stratify, got both"),
        ({"validation": {"where": {"g": 1}}, "group": "g"}, "expected where alone"),
        ({"stratify": True, "label": None}, "expected one label column for stratify: true"),
    ],
)
def test_splits_that_do_not_fit_together(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("+", r"\+")):
        data(**parts)


@pytest.mark.parametrize(
    ("parts", "column"),
    [
        ({}, None),
        ({"validation": {"where": {"fold": 1}}}, "fold"),
        ({"stratify": True}, "y"),
        ({"stratify": "s"}, "s"),
        ({"group": "g"}, "g"),
    ],
)
def test_the_column_that_splits(parts: dict[str, Any], column: str | None) -> None:
    assert data(**parts).split_column == column


@pytest.mark.parametrize(
    ("steps", "features", "source"),
    [
        ([], ["a", "b"], ["a", "b", "y"]),
        ([{"standardize": {"columns": ["a"]}}], "a", ["a", "y"]),
        ([{"standardize": {"columns": ["b"], "into": ["a"]}}], "a", ["y", "b"]),
        (
            [{"scale": {"columns": ["b"], "by": 2.0}}, {"concatenate": {"columns": ["b", "c"], "into": "all"}}],
            ["all", "b"],
            ["b", "y", "c"],
        ),
    ],
)
def test_the_columns_that_are_read(steps: list[Any], features: Any, source: list[str]) -> None:
    assert data(preprocess=steps, features=features).source_columns == source


def test_inputs_are_named_by_key_or_columns() -> None:
    several = data(features={"in": ["a", "b"], "text": "t"})
    assert [several.input_of(named) for named in ("in", ["a", "b"], "t", "text", "a", ["a"])] == [
        "in", "in", "text", "text", None, None,
    ]  # fmt: skip
    assert data(features="a").input_of("a") == ""
    assert data(features=["a", "b"]).input_of(["a", "b"]) == ""
    assert data(features=["a", "b"]).input_of("a") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected one of fill, allow_nan, pad"),
        ({"pad_value": 1}, "expected pad beside pad_value, got none"),
        ({"truncate": True}, "expected pad beside truncate, got none"),
        ({"mode": "L"}, "expected size beside mode, got none"),
        ({"pad": 2, "timestamp": "days"}, "got pad and timestamp"),
        ({"size": [1, 1], "fill": 0}, "expected size, mode, resample, exif_transpose alone for images, got fill, size"),
        ({"pad": 0}, "greater than or equal to 1"),
        ({"dtype": "complex64"}, "Input should be"),
    ],
)
def test_options_of_a_column_that_do_not_fit_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ColumnSpec.model_validate(options)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"standardize": {"columns": ["a", "b"], "into": ["c"]}}, r"as many names in into as columns \(2\), got 1"),
        ({"robust": {"columns": ["a"], "quantiles": [0.9, 0.1]}}, "two quantiles between 0 and 1, the smaller first"),
        ({"impute": {"columns": ["a"], "strategy": "constant"}}, "strategy: constant and fill_value together"),
        ({"impute": {"columns": ["a"], "fill_value": 1}}, "strategy: constant and fill_value together"),
        ({"bucket": {"columns": ["a"], "bins": [2.0, 1.0]}}, "the edges of bins in ascending order"),
        ({"bucket": {"columns": ["a"], "bins": 1}}, "greater than or equal to 2"),
        ({"tokenize": {"columns": ["a"], "pattern": "("}}, "expected a regular expression"),
        ({"concatenate": {"columns": ["a"]}}, "Field required"),
        ({"standardize": {"columns": []}}, "at least 1 item"),
    ],
)
def test_steps_that_do_not_fit_together(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Preprocess.model_validate(step)


def test_what_a_step_reads_and_makes() -> None:
    steps = [
        {"standardize": {"columns": ["a"]}},
        {"standardize": {"columns": ["a"], "into": ["b"]}},
        {"concatenate": {"columns": ["a", "b"], "into": "c"}},
        {"python": "f.py:f"},
    ]
    made = [Preprocess.model_validate(step) for step in steps]
    assert [(step.columns, step.outputs) for step in made] == [
        (["a"], ["a"]),
        (["a"], ["b"]),
        (["a", "b"], ["c"]),
        ([], []),
    ]


def test_everything_survives_its_way_to_the_cluster() -> None:
    columns = [{"fill": 0}, {"fill": False}, {"pad": 2, "pad_value": "", "truncate": True}, {"pad": 3}]
    more = [{"timestamp": "days", "dtype": "float32"}, {"size": [2, 2]}, {"size": [2, 2], "mode": "L"}]
    steps: list[dict[str, Any]] = [
        *(
            {kind: {"columns": ["a"]}}
            for kind in ("standardize", "impute", "encode", "one_hot", "multi_hot", "tokenize")
        ),
        {"bucket": {"columns": ["a"], "bins": 3}},
        {"bucket": {"columns": ["a"], "bins": [1.0, 2.0]}},
        {"pad": {"columns": ["a"], "length": 2}},
        {"count": {"columns": ["a"], "into": ["c"]}},
        {"hash": {"columns": ["a"], "features": 2}},
        {"encode": {"columns": ["a"], "unseen": 1}},
        {"concatenate": {"columns": ["a"], "into": "b"}},
        {"impute": {"columns": ["a"], "strategy": "constant", "fill_value": "x"}},
    ]
    spec = data(
        columns={f"c{index}": options for index, options in enumerate(columns + more)},
        preprocess=steps,
        adapt={"words": ["a"]},
    )
    assert DataSpec.model_validate_json(spec.model_dump_json()) == spec
