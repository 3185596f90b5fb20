from typing import Any

import pytest

from raytrain.spec.column_checks import column_problems
from raytrain.spec.data_spec import DataSpec

INLINE = {"inline": {"a": [1]}}
KNOWN = ("a", "b", "y", "w", "group")


def found(known: dict[str, tuple[str, ...] | None] | None = None, **parts: Any) -> list[tuple[str, str, str]]:
    data = DataSpec.model_validate({"train": INLINE, "features": "a"} | parts)
    problems = column_problems(data, known or {"train": KNOWN})
    return [(problem.field, problem.got, problem.fix) for problem in problems]


@pytest.mark.parametrize(
    ("parts", "field", "got", "fix"),
    [
        ({"label": "digits"}, "data.label", "label `digits`, which is no column", ""),
        ({"label": "yy"}, "data.label", "label `yy`, which is no column", "did you mean `y`?"),
        ({"label": {"out": "yy"}}, "data.label", "label `yy`, which is no column", "did you mean `y`?"),
        ({"features": "c"}, "data.features", "features `c`, which is no column", ""),
        ({"features": ["a", "c"]}, "data.features", "features `c`, which is no column", ""),
        ({"features": {"in": ["a", "c"]}}, "data.features", "features `c`, which is no column", ""),
        ({"label": "y", "weight": "v"}, "data.weight", "weight `v`, which is no column", ""),
        ({"stratify": "grup"}, "data.stratify", "stratify `grup`, which is no column", "did you mean `group`?"),
        (
            {"preprocess": [{"scale": {"columns": ["a"], "by": 2.0}}, {"standardize": {"columns": ["y"]}}]},
            "data.preprocess.1.standardize.columns", "the column `y`, which the model does not get", "",
        ),
        ({"group": "grou"}, "data.group", "group `grou`, which is no column", "did you mean `group`?"),
        ({"test": {"where": {"fold": 1}}}, "data.test.where", "test.where `fold`, which is no column", ""),
        ({"columns": {"aa": {"fill": 0}}}, "data.columns.aa", "columns `aa`, which is no column", "did you mean `a`?"),
        ({"columns": {"b": {"fill": 0}}}, "data.columns.b", "the column `b`, which the model does not get", ""),
        (
            {"preprocess": [{"standardize": {"columns": ["c"], "into": ["made"]}}], "features": ["a", "made"]},
            "data.preprocess.0.standardize.columns", "preprocess.0.standardize.columns `c`, which is no column", "",
        ),
        (
            {"preprocess": [{"standardize": {"columns": ["a"], "into": ["made"]}}]},
            "data.preprocess.0.standardize.into", "the column `made`, which the model does not get", "",
        ),
        (
            {"preprocess": [{"concatenate": {"columns": ["a", "b"], "into": "made"}}], "features": "maid"},
            "data.features", "features `maid`, which is no column", "did you mean `made`?",
        ),
        ({"adapt": {"words": "b"}}, "data.adapt.words", "b, which is no input of the model", ""),
        (
            {"adapt": {"words": "a"}, "features": ["a", "b"]},
            "data.adapt.words", "a, which is no input of the model", "did you mean `a`?",
        ),
    ],
)  # fmt: skip
def test_columns_that_are_not_there(parts: dict[str, Any], field: str, got: str, fix: str) -> None:
    assert found(**parts) == [(field, got, fix)]


def test_columns_that_are_there() -> None:
    steps = [{"scale": {"columns": ["a"], "by": 2.0}}, {"one_hot": {"columns": ["y"], "classes": 3}}]
    assert found(features=["a", "b"], label="y", weight="w", stratify="group", preprocess=steps) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"preprocess": [{"standardize": {"columns": ["b"], "into": ["made"]}}], "features": ["a", "made"]},
        {"preprocess": [{"tokenize": {"columns": ["a"]}}, {"pad": {"columns": ["a"], "length": 2}}]},
        {
            "preprocess": [
                {"scale": {"columns": ["b"], "by": 2.0}},
                {"concatenate": {"columns": ["a", "b"], "into": "made"}},
            ],
            "features": "made",
            "columns": {"b": {"fill": 0}},
        },
        {"features": {"in": ["a", "b"], "words": "w"}, "adapt": {"scaled": ["a", "b"], "x": "in", "y": "w"}},
        {"features": ["a", "b"], "adapt": {"scaled": ["a", "b"]}},
        {"validation": {"where": {"group": 1}}, "test": {"where": {"group": 2}}},
        {"validation": 0.1, "group": "group"},
    ],
)
def test_columns_that_steps_make_or_that_decide_the_split(parts: dict[str, Any]) -> None:
    assert found(**parts) == []


def test_a_source_of_its_own_is_not_split() -> None:
    assert found({"train": KNOWN, "validation": ("a",)}, validation=INLINE, test=0.1, group="group") == []


def test_unknown_sources_are_left_to_the_driver() -> None:
    assert found({"train": None}, label="nope") == []


def test_other_sources_must_have_the_same_columns() -> None:
    problems = found({"train": KNOWN, "validation": ("a",)}, label="y", validation=INLINE)
    assert problems == [("data.label", "label `y`, which is no column in data.validation", "")]


def test_a_step_of_the_users_own_may_make_columns() -> None:
    own = {"python": "f.py:f"}
    assert found(features="made", label="made_too", preprocess=[own]) == []
    early, late = ({"scale": {"columns": ["made"], "by": 2.0}}, own), (own, {"scale": {"columns": ["made"], "by": 2.0}})
    assert found(features="made", preprocess=list(late)) == []
    assert [field for field, _, _ in found(features="made", preprocess=list(early))] == [
        "data.preprocess.0.scale.columns"
    ]


def test_long_lists_of_columns_are_cut() -> None:
    (problem,) = column_problems(
        DataSpec.model_validate({"train": INLINE, "features": "a"}), {"train": tuple(f"c{i}" for i in range(100))}
    )
    assert problem.expected.endswith("c11, … (100 in all)")
