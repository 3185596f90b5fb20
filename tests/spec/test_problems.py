import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from raytrain.errors import Problem
from raytrain.spec.job import JobSpec
from raytrain.spec.line_numbers import LineNumbers, Loc
from raytrain.spec.problems import _FIRST_TO_MEND, problems_of
from raytrain.spec.pydantic_bases import custom_error
from tests.spec.conftest import Write, refused

BASE: dict[str, Any] = {"name": "a", "model": "model.py:f", "data": {"train": {"sklearn": "digits"}}}


def problems(data: dict[str, Any]) -> list[Problem]:
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(data)
    return problems_of(caught.value, data, LineNumbers("job.yaml", {}))


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
        # words of Keras and of other tools' job files
        ({"fit": {"validation_split": 0.2}}, "fit.validation_split", "unknown key", "", "data.validation: 0.2"),
        ({"fit": {"batch_size": 8}}, "fit.batch_size", "unknown key", "", "fit.global_batch_size: 32"),
        ({"fit": {"callbacks": []}}, "fit.callbacks", "unknown key", "", "callbacks, beside fit"),
        ({"fit": {"steps_per_epoch": 9}}, "fit.steps_per_epoch", "unknown key", "", "leave it out"),
        ({"scaling": {"num_workers": 2}}, "scaling.num_workers", "unknown key", "", "scaling.workers"),
        ({"scaling": {"use_gpu": True}}, "scaling.use_gpu", "unknown key", "", "scaling.gpus_per_worker: 1"),
        ({"envs": {"A": 1}}, "envs", "unknown key", "", "environment.env_vars"),
        ({"runtime_env": {}}, "runtime_env", "unknown key", "", "environment: {pip"),
        ({"setup": "pip install x"}, "setup", "unknown key", "", "environment.pip"),
        (data(train={"csv": {"path": "a.csv", "sep": ";"}}), "data.train.csv.sep", "unknown key", "", "separator"),
        ({"environment": {"pip": "requirements.txt"}}, "environment.pip", "", "", 'WORKING_DIR}/requirements.txt"]'),
        ({"environment": {"pip": ["-r a.txt"]}}, "environment.pip.0", "-r a.txt", "a path on the", "DIR}/a.txt"),
        ({"callbacks": ["EarlyStopping"]}, "callbacks.0", "'EarlyStopping'", "a map", "EarlyStopping: {}"),
        ({"callbacks": [{"ReduceLRonPlateau": {}}]}, "callbacks.0.ReduceLRonPlateau", "", "", "`ReduceLROnPlateau`?"),
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
        (data(validation=0), "data.validation", "0", "a fraction of train between 0 and 1, or {where:", ""),
        (data(validation=1), "data.validation", "1", "a fraction of train between 0 and 1, or {where:", ""),
        (data(test="x"), "data.test", "'x' (a string)", "a fraction of train between 0 and 1, or {where:", ""),
        (data(validation={"sklearn": "digit"}), "data.validation.sklearn", "'digit'", "one of digits", "`digits`?"),
        (data(features=3), "data.features", "3 (a whole number)", "a column, a list of columns", ""),
        (data(features={"a": 3}), "data.features.a", "3 (a whole number)", "a string or a list", ""),
        (data(features=["a", 3]), "data.features.1", "3 (a whole number)", "a string", "quotes"),
        (data(label=[1]), "data.label", "a list of 1", "a column, or {output: column}", ""),
        (data(train={"csv": 3}), "data.train.csv", "3 (a whole number)", "a path, folder, glob or a list of them", ""),
        (data(train={"inline": {"a": [{"b": 1}]}}), "data.train.inline.a.0", "a map with b", "true, false, ", ""),
        (data(train={"inline": 3}), "data.train.inline", "3 (a whole number)", "rows, or columns", ""),
        ({"compile": {"loss": 3}}, "compile.loss", "3 (a whole number)", "a name, a list of them, {output:", ""),
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
        ({"model": {"layers": [{"a": {}, "b": {}}]}}, "model.layers.0", "a, b", "at most 1 key", "`- `"),
        ({"model": {}}, "model", "none of them", "exactly one of python, layers, file, run", ""),
        ({"model": {"layers": [{"Dense": {}}], "file": "x"}}, "model", "layers, file", "exactly one of", ""),
        (data(train={"inline": {"a": [1], "b": []}}), "data.train.inline", "lengths [0, 1]", "inline columns of", ""),
        (data(validation=0.5, test=0.5), "data", "0.5 + 0.5", "validation + test < 1", ""),
        (data(stratify=True), "data.stratify", "none", "one label column for stratify: true", "or name a column"),
        ({"model": {"layers": [{"Dense": {}}]}}, "model.layers", "none", "compile: beside layers:", ""),
        (data(weight="w"), "data.weight", "none", "a label beside weight", ""),
        ({"early_stopping": {}}, "early_stopping.monitor", "val_loss without", "data.validation to be given", ""),
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


@pytest.mark.parametrize(
    "parts",
    [
        data(train="s3://AKIA:hunter2@bucket/x.csv"),
        data(train={"iceberg": {"table": "a.b", "catalog": {"token": 4242}}}),
        {"environment": {"env_vars": {"A": ["hunter2"]}}},
        {"environment": {"env_vars": "A=hunter2"}},
        {"environment": {"pip": "git+https://hunter2@host/p"}},
    ],
)
def test_secrets_are_not_shown_where_they_are_in_the_wrong_place(parts: dict[str, Any]) -> None:
    assert not {"hunter2", "4242"} & set(re.findall(r"\w+", str(only(**parts))))


def refusals() -> Iterator[tuple[str, list[str]]]:
    """Parts of a job.yaml, and the messages about each."""
    _, *cases = Path(__file__).with_name("refusals.txt").read_text(encoding="utf-8").split("\n\n")
    for case in cases:
        part, *messages = case.rstrip("\n").split("\n> ")
        yield part, messages


@pytest.mark.parametrize(("part", "messages"), list(refusals()))
def test_each_message_in_full(part: str, messages: list[str], write_job: Write) -> None:
    right = {"model": "model: model.py:build_model", "data": "data: {train: {sklearn: digits}, validation: 0.1}"}
    given = [line.partition(":")[0].replace("modle", "model") for line in part.splitlines()]
    folder = write_job("\n".join([part, *(line for name, line in right.items() if name not in given)]))
    said = [str(problem).removeprefix(f"{folder / 'job.yaml'}:") for problem in refused(folder)]
    assert said == messages


def test_a_name_that_is_also_a_type_or_a_kind_is_taken_for_the_name_it_is() -> None:
    assert only(**data(features={"str": 3})).field == "data.features.str"
    assert only(**data(validation={"where": {"where": {}}})).field == "data.validation.where.where"


def test_what_a_rule_of_ours_says_arrives_as_data() -> None:
    error = custom_error("this", got="that", fix="mend it", field="a.b")
    assert error.context == {"expected": "this", "got": "that", "fix": "mend it", "field": "a.b"}
    assert str(error) == "expected this, got that"


def fields(annotation: Any = JobSpec, loc: Loc = ()) -> Iterator[tuple[Loc, FieldInfo]]:
    """Every field of the schema, with a location it can have: the first item of a list, `k` of a map."""
    for name, field in getattr(annotation, "model_fields", {}).items():
        yield (*loc, name), field
        yield from fields(field.annotation, (*loc, name))
    inside: Loc = (0,) if get_origin(annotation) is list else ("k",) if get_origin(annotation) is dict else ()
    for part in get_args(annotation):
        yield from fields(part, (*loc, *inside))


def document(loc: Loc, value: object) -> dict[str, Any]:
    for part in reversed(loc):
        value = [value] if isinstance(part, int) else {part: value}
    assert isinstance(value, dict)
    return BASE | value | ({"data": BASE["data"] | value["data"]} if loc[:1] == ("data",) and len(loc) > 1 else {})


ODD: list[object] = [None, True, 3, -1, 0.5, 10**400, "x", "", [], [1], [[]], {}, {"k": 1}, {"k": {}, "l": None}]
WORDS_OF_PYDANTIC = ("Input", "should", "valid ", "function-", "constrained", "str]", "pydantic", "Error", "literal[")


def test_odd_values_everywhere_are_told_in_full_and_without_a_word_of_pydantics() -> None:
    refusals = 0
    for loc, _ in fields():
        for value in ODD:
            job = document(loc, value)
            try:
                JobSpec.model_validate(job)
            except ValidationError as error:
                types = {detail["type"] for detail in error.errors()}
                assert [type_ for type_ in types if not any(type_ in group for group in _FIRST_TO_MEND)] == []
                for problem in problems_of(error, job, LineNumbers("job.yaml", {})):
                    refusals += 1
                    assert problem.got and problem.expected and problem.field, (loc, value)
                    assert [word for word in WORDS_OF_PYDANTIC if word in str(problem)] == [], (loc, value)
    assert refusals > 1000


def test_a_field_that_must_be_there_says_what_it_is_for() -> None:
    told_otherwise = (("name",), ("data", "validation", "where"), ("data", "test", "where"))
    required = {loc: field.description for loc, field in fields() if field.is_required() and loc not in told_otherwise}
    assert [loc for loc, description in required.items() if not description] == []
    assert ("model",) in required
