from typing import Any

import pytest
from pydantic import ValidationError

from raytrain.errors import Problem
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import Places
from raytrain.spec.problems import problems_of

BASE: dict[str, Any] = {"name": "a", "model": "model.py:f", "data": {"train": {"sklearn": "digits"}}}


def problems(data: dict[str, Any]) -> list[Problem]:
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(data)
    return problems_of(caught.value, data, Places("job.yaml", {}))


def only(**parts: Any) -> Problem:
    (problem,) = problems(BASE | parts)
    return problem


def data(**parts: Any) -> dict[str, Any]:
    return {"data": BASE["data"] | parts}


@pytest.mark.parametrize(
    ("parts", "field", "got", "expected", "fix"),
    [
        # unknown keys
        ({"fit": {"epoch": 3}}, "fit.epoch", "unknown key `epoch`", "one of epochs, ", "did you mean `epochs`?"),
        ({"epochs": 3}, "epochs", "unknown key `epochs`", "one of name, ", "did you mean `fit.epochs`?"),
        ({"zzz": 3}, "zzz", "unknown key `zzz`", "one of name, ", ""),
        (data(train={"sklern": "digits"}), "data.train.sklern", "unknown key", "exactly one of sklearn", "`sklearn`?"),
        # missing keys
        ({"data": {}}, "data.train", "no `train`", "a source, such as", "add it"),
        (data(preprocess=[{"scale": {"by": 2.0}}]), "data.preprocess.0.scale.columns", "no `columns`", "", "add it"),
        # wrong types
        ({"fit": {"epochs": "10"}}, "fit.epochs", "'10' (a string)", "a whole number", "remove the quotes"),
        ({"fit": {"epochs": "ten"}}, "fit.epochs", "'ten' (a string)", "a whole number", ""),
        ({"fit": {"epochs": 1.5}}, "fit.epochs", "1.5 (a number)", "a whole number", ""),
        ({"fit": {"epochs": True}}, "fit.epochs", "true (true or false)", "a whole number", ""),
        ({"fit": {"epochs": None}}, "fit.epochs", "nothing (null)", "a whole number", "write a value"),
        ({"fit": 3}, "fit", "3 (a whole number)", "a map with one of epochs, ", ""),
        ({"name": 5}, "name", "5 (a whole number)", "a string", "put it in quotes"),
        ({"environment": {"pip": "x"}}, "environment.pip", "'x' (a string)", "a list", ""),
        (data(shuffle="yes"), "data.shuffle", "'yes' (a string)", "true or false", ""),
        ({"environment": {"env_vars": {"T": 123.45}}}, "environment.env_vars.T", "a number", "a string", ""),
        # ranges
        ({"scaling": {"workers": 0}}, "scaling.workers", "0", "at least 1", ""),
        ({"scaling": {"cpus_per_worker": 0}}, "scaling.cpus_per_worker", "0", "above 0", ""),
        ({"scaling": {"gpus_per_worker": 2}}, "scaling.gpus_per_worker", "2", "at most 1", ""),
        ({"fit": {"seed": 2**31}}, "fit.seed", "2147483648", "below ", ""),
        (data(train={"inline": []}), "data.train.inline", "empty list", "at least 1", ""),
        # names
        ({"early_stopping": {"mode": "mix"}}, "early_stopping.mode", "'mix'", "one of auto, min, max", "`min`?"),
        (data(train={"sklearn": "digit"}), "data.train.sklearn", "'digit'", "one of digits, iris", "`digits`?"),
        ({"name": "Digits!"}, "name", "'Digits!'", "1 to 40 of a-z", ""),
        # unions
        (data(validation=0), "data.validation", "0", "a fraction between 0 and 1, or a source", ""),
        (data(validation=1), "data.validation", "1", "a fraction between 0 and 1, or a source", ""),
        (data(test="x"), "data.test", "'x' (a string)", "a fraction between 0 and 1, or a source", ""),
        (data(validation={"sklearn": "digit"}), "data.validation.sklearn", "'digit'", "one of digits", "`digits`?"),
        (data(features=3), "data.features", "3 (a whole number)", "a column, a list of columns", ""),
        (data(features={"a": 3}), "data.features.a", "3 (a whole number)", "a string or a list", ""),
        (data(features=["a", 3]), "data.features.1", "3 (a whole number)", "a string", "quotes"),
        (data(label=[1]), "data.label", "a list of 1", "a column, or {output: column}", ""),
        (data(train={"csv": 3}), "data.train.csv", "3 (a whole number)", "a string or a list", ""),
        (data(train={"inline": {"a": [{"b": 1}]}}), "data.train.inline.a.0", "a map with b", "a number, a string", ""),
        (data(train={"inline": 3}), "data.train.inline", "3 (a whole number)", "rows, or columns", ""),
        ({"compile": {"loss": 3}}, "compile.loss", "3 (a whole number)", "a string or a map or a list", ""),
        ({"compile": {"steps_per_execution": 0}}, "compile.steps_per_execution", "0", "at least 1", ""),
        ({"compile": {"steps_per_execution": "x"}}, "compile.steps_per_execution", "'x'", "a whole number or auto", ""),
        ({"callbacks": "callbacks"}, "callbacks", "'callbacks' (a string)", "FILE.py:FUNCTION, or a list", ""),
        ({"callbacks": [3]}, "callbacks.0", "3 (a whole number)", "a map", ""),
        # short forms: the user never wrote `python`
        ({"model": "build"}, "model", "'build' (a string)", "FILE.py:FUNCTION, or a map with one of", ""),
        ({"model": {"python": "build"}}, "model.python", "'build' (a string)", "FILE.py:FUNCTION, such as", ""),
        ({"model": 3}, "model", "3 (a whole number)", "FILE.py:FUNCTION, or a map with one of", ""),
        ({"compile": "adam"}, "compile", "'adam' (a string)", "FILE.py:FUNCTION, or a map with optimizer", ""),
        # keys
        ({"fit": {"class_weight": {"a": 1}}}, "fit.class_weight.a", "the key 'a' (a string)", "a whole number", ""),
        ({"fit": {"class_weight": {0: "x"}}}, "fit.class_weight.0", "'x' (a string)", "a number", ""),
        # the schema's own sentences
        ({"fit": {"time_limit": "5x"}}, "fit.time_limit", "'5x' (a string)", "seconds, or a duration such as", ""),
        ({"model": {"layers": [{"a": {}, "b": {}}]}}, "model", "a, b", "one layer name a list item", ""),
        ({"model": {}}, "model", "none of them", "exactly one of python, layers, file, run", ""),
        ({"model": {"layers": [{"Dense": {}}], "file": "x"}}, "model", "layers, file", "exactly one of", ""),
        (data(train={"inline": {"a": [1], "b": []}}), "data.train", "lengths [0, 1]", "inline columns of", ""),
        (data(validation=0.5, test=0.5), "data", "1", "validation + test < 1", ""),
        (data(stratify=True), "data", "a map with", "one label column for stratify: true", "or name a column"),
        ({"model": {"layers": [{"Dense": {}}]}}, "", "a map with", "compile: beside layers:", ""),
        (data(weight="w"), "data", "none", "a label beside weight", ""),
        ({"early_stopping": {}}, "", "early_stopping monitors val_loss", "data.validation to be given", ""),
        ({"compile": {"python": "m.py:f", "loss": "mse"}}, "compile", "python, loss", "python alone", ""),
    ],
)  # fmt: skip
def test_each_error_in_the_users_words(parts: dict[str, Any], field: str, got: str, expected: str, fix: str) -> None:
    problem = only(**parts)
    assert problem.field == field
    assert got in problem.got
    assert problem.expected.startswith(expected)
    assert problem.expected
    assert fix in problem.fix


def test_a_misspelt_key_is_not_also_missing() -> None:
    assert [p.field for p in problems({"name": "a", "modle": "model.py:f", "data": BASE["data"]})] == ["modle"]


def test_both_are_told_where_the_key_is_nothing_like_the_missing_one() -> None:
    assert [p.field for p in problems({"name": "a", "zzz": 1, "data": BASE["data"]})] == ["model", "zzz"]


def test_values_of_environment_variables_are_never_shown() -> None:
    problem = only(environment={"env_vars": {"TOKEN": 123.45}})
    assert "123" not in str(problem)


def test_no_text_of_pydantic_is_shown() -> None:
    every = {
        "name": 3,
        "model": {"layers": 3, "file": []},
        "compile": {"optimizer": 3, "jit_compile": "x", "loss_weights": "x"},
        "data": {"train": {"inline": [{"a": {}}]}, "label": 3, "weight": [], "preprocess": {"a": 1}, "stratify": 3},
        "fit": {"class_weight": 3, "validation_batch_size": 0},
        "scaling": {"resources_per_worker": {"a": -1, "b": "x"}},
        "callbacks": {"a": 1},
    }
    text = "\n".join(map(str, problems(every)))
    for word in ("Input", "a valid", "function-", "constrained", "str]", "pydantic", "Error", "literal["):
        assert word not in text, word
