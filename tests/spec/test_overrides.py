from typing import Any

import pytest

from raytrain.errors import SpecError, UsageError
from raytrain.spec.line_numbers import LineNumbers
from raytrain.spec.overrides import apply_override, parse_override


def applied(data: dict[str, Any], *texts: str) -> dict[str, Any]:
    lines = LineNumbers("job.yaml", {})
    for text in texts:
        apply_override(data, parse_override(text), lines)  # type: ignore[arg-type]
    return data


@pytest.mark.parametrize(
    ("text", "parts", "value"),
    [
        ("fit.epochs=3", ("fit", "epochs"), 3),
        ("compile.optimizer.learning_rate=1e-3", ("compile", "optimizer", "learning_rate"), 0.001),
        ("data.label=null", ("data", "label"), None),
        ("data.features=[a, b]", ("data", "features"), ["a", "b"]),
        ("compile.optimizer={name: sgd}", ("compile", "optimizer"), {"name": "sgd"}),
        ("model=model.py:build", ("model",), "model.py:build"),
        ("environment.env_vars.A=b=c", ("environment", "env_vars", "A"), "b=c"),
        ("init_from=@last", ("init_from",), "@last"),
        ("data.train.csv=*.csv", ("data", "train", "csv"), "*.csv"),
        ("name='5'", ("name",), "5"),
        ("restore=no", ("restore",), "no"),
        ("data.columns.age.fill=0", ("data", "columns", "age", "fill"), 0),
        ("data.columns.petal.width.fill=0", ("data", "columns", "petal.width", "fill"), 0),
        ("data.columns.a.b.c={fill: 0}", ("data", "columns", "a.b.c"), {"fill": 0}),
        ("data.columns.petal width.fill=0", ("data", "columns", "petal width", "fill"), 0),
        ('data.columns."a.fill".fill=0', ("data", "columns", "a.fill", "fill"), 0),
        ('data.columns."a=b".fill=0', ("data", "columns", "a=b", "fill"), 0),
        ('data.validation.where."a.b"=1', ("data", "validation", "where", "a.b"), 1),
    ],
)
def test_values_are_read_as_the_same_yaml(text: str, parts: tuple[str, ...], value: object) -> None:
    override = parse_override(text)
    assert (override.parts, override.value) == (parts, value)
    assert override.argument == f"--set {text}"


@pytest.mark.parametrize(
    "text", ["fit.epochs", "=3", "fit..epochs=3", ".epochs=3", "fit.=3", "fit epochs=3", "a=", "a= "]
)
def test_malformed_arguments_are_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="FIELD=VALUE"):
        parse_override(text)


def test_a_value_that_is_no_yaml_is_refused_by_its_argument() -> None:
    with pytest.raises(SpecError) as caught:
        parse_override("fit.epochs=[")
    assert caught.value.problems[0].where == "--set fit.epochs=["


@pytest.mark.parametrize(
    ("before", "texts", "after"),
    [
        ({}, ["fit.epochs=3"], {"fit": {"epochs": 3}}),
        ({"fit": {"seed": 1}}, ["fit.epochs=3"], {"fit": {"seed": 1, "epochs": 3}}),
        ({"fit": {"seed": 1}}, ["fit=null"], {"fit": None}),
        ({"a": 1}, ["a=1", "a=2"], {"a": 2}),
        ({"fit": {"epochs": 3}}, ["fit.epochs.x=1"], {"fit": {"epochs": {"x": 1}}}),
        ({"model": "m.py:f"}, ["model.python=n.py:g"], {"model": {"python": "n.py:g"}}),
        ({"model": "m.py:f"}, ["model.file=x.keras"], {"model": {"file": "x.keras"}}),
        ({"model": {"layers": []}}, ["model.python=n.py:g"], {"model": {"python": "n.py:g"}}),
        ({"data": {"train": {"sklearn": "digits"}}}, ["data.train.csv=a.csv"], {"data": {"train": {"csv": "a.csv"}}}),
        ({"data": {"validation": 0.1}}, ["data.validation.csv=a.csv"], {"data": {"validation": {"csv": "a.csv"}}}),
        (
            {"compile": {"optimizer": "adam"}},
            ["compile.optimizer.learning_rate=0.1"],
            {"compile": {"optimizer": {"name": "adam", "learning_rate": 0.1}}},
        ),
        (
            {"compile": {"optimizer": "adam"}},
            ["compile.optimizer.name=sgd"],
            {"compile": {"optimizer": {"name": "sgd"}}},
        ),
        ({"compile": "m.py:f"}, ["compile.loss=mse"], {"compile": {"loss": "mse"}}),
        (
            {"data": {"preprocess": [{"scale": {"by": 1}}]}},
            ["data.preprocess.0.scale.by=2"],
            {"data": {"preprocess": [{"scale": {"by": 2}}]}},
        ),
        (
            {"data": {"preprocess": [{"scale": {"by": 1}}]}},
            ["data.preprocess.0.python=m.py:f"],
            {"data": {"preprocess": [{"python": "m.py:f"}]}},
        ),
        (
            {"data": {"validation": {"where": {"fold": 1}}}},
            ["data.validation.csv=a.csv"],
            {"data": {"validation": {"csv": "a.csv"}}},
        ),
        ({"metrics": ["a"]}, ["metrics.1=b"], {"metrics": ["a", "b"]}),
        ({}, ["data.preprocess.0.scale.by=2"], {"data": {"preprocess": [{"scale": {"by": 2}}]}}),
        ({}, ["fit.class_weight.0=2.0", "fit.class_weight.1=3"], {"fit": {"class_weight": {0: 2.0, 1: 3}}}),
    ],
)
def test_application(before: dict[str, Any], texts: list[str], after: dict[str, Any]) -> None:
    assert applied(before, *texts) == after


@pytest.mark.parametrize("index", ["2", "x", "-1"])
def test_an_index_outside_the_list_is_refused(index: str) -> None:
    with pytest.raises(SpecError) as caught:
        applied({"metrics": ["a"]}, f"metrics.{index}=b")
    assert caught.value.problems[0].file == f"--set metrics.{index}=b"
    assert caught.value.problems[0].expected == "0 to 1"


def test_the_place_of_an_overridden_field_is_its_argument() -> None:
    lines = LineNumbers("job.yaml", {("fit",): 3, ("fit", "seed"): 4, ("fit", "epochs"): 5})
    apply_override({"fit": {"seed": 1, "epochs": 2}}, parse_override("fit.epochs=3"), lines)
    assert lines.of("fit.epochs") == ("--set fit.epochs=3", 0)
    assert lines.of("fit.seed") == ("job.yaml", 4)
    assert lines.of("fit") == ("job.yaml", 3)
