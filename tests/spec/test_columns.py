from typing import Any

import pytest

from raytrain.spec.columns import column_problems
from raytrain.spec.data import DataSpec

INLINE = {"inline": {"a": [1]}}
KNOWN = ("a", "b", "y", "w", "group")


def found(columns: dict[str, tuple[str, ...] | None] | None = None, **parts: Any) -> list[tuple[str, str, str]]:
    data = DataSpec.model_validate({"train": INLINE, "features": "a"} | parts)
    problems = column_problems(data, columns or {"train": KNOWN})
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
    ],
)  # fmt: skip
def test_columns_that_are_not_there(parts: dict[str, Any], field: str, got: str, fix: str) -> None:
    assert found(**parts) == [(field, got, fix)]


def test_columns_that_are_there() -> None:
    steps = [{"scale": {"columns": ["a"], "by": 2.0}}, {"one_hot": {"columns": ["y"], "classes": 3}}]
    assert found(features=["a", "b"], label="y", weight="w", stratify="group", preprocess=steps) == []


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
