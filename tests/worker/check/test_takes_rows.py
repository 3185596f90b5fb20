"""Rows and models that do not fit, told by both sides."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from raytrain.errors import UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.worker.check.takes_rows import check_class_weight, check_inputs, taking

LABELS = np.zeros(8, np.int64)


def spec(**data_and_fit: Any) -> JobSpec:
    fit = {key: data_and_fit.pop(key) for key in ("class_weight",) if key in data_and_fit}
    data = {"train": {"inline": {"x": [0.0], "y": [1]}}, "features": "x", "label": "y"} | data_and_fit
    return JobSpec.model_validate({"name": "a", "model": "model.py:build", "data": data, "fit": fit})


def model(units: int = 3, *shape: int | None) -> keras.Model:
    return keras.Sequential([keras.Input(shape or (4,), name="pixels"), keras.layers.Dense(units)])


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [((8, 4), (4,)), ((8,), (1,)), ((8, 1), (1,)), ((8, 5, 7), (None, 7)), ((8, 5), (5, 1))],
)
def test_rows_that_fit_are_taken(rows: tuple[int, ...], wanted: tuple[int | None, ...]) -> None:
    check_inputs(model(3, *wanted), (np.zeros(rows), LABELS), spec())


def test_rows_of_another_shape_are_refused_by_column_and_input() -> None:
    with pytest.raises(UserCodeError) as refused:
        check_inputs(model(), (np.zeros((8, 5)), LABELS), spec())
    [problem] = refused.value.problems
    assert problem.field == "data.features"
    assert problem.got == "x, rows of shape (5,)"
    assert problem.expected == "(4,), as the model's input `pixels` has it"


def test_of_several_inputs_the_one_that_does_not_fit_is_named() -> None:
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
    joined = keras.Model(inputs, keras.layers.Concatenate()(list(inputs.values())))
    rows = {"a": np.zeros((8, 4)), "b": np.zeros((8, 3))}
    with pytest.raises(
        UserCodeError, match=r"got y, x, rows of shape \(3,\), expected \(2,\), as the model's input `b`"
    ):
        check_inputs(joined, (rows, LABELS), spec(features={"a": "x", "b": ["y", "x"]}))


@pytest.mark.parametrize(("units", "classes"), [(3, [0, 2]), (1, [0, 1])])
def test_class_weights_of_the_outputs_are_taken(units: int, classes: list[int]) -> None:
    check_class_weight(model(units), (np.zeros((8, 4)), LABELS), spec(class_weight=dict.fromkeys(classes, 2.0)))


@pytest.mark.parametrize(("units", "label"), [(3, 12), (1, 2)])
def test_a_weight_of_a_class_that_no_output_stands_for_is_refused(units: int, label: int) -> None:
    with pytest.raises(
        UserCodeError, match=f"fit.class_weight: got a weight of class {label}, expected classes from 0"
    ):
        check_class_weight(model(units), (np.zeros((8, 4)), LABELS), spec(class_weight={0: 1.0, label: 2.0}))


def test_class_weights_beside_several_outputs_are_refused() -> None:
    with pytest.raises(UserCodeError, match="several outputs"):
        check_class_weight(model(), (np.zeros((8, 4)), {"a": LABELS}), spec(class_weight={0: 1.0}))


def test_what_keras_finds_not_to_fit_is_told_with_both_sides() -> None:
    made = model()
    made.compile("sgd", "categorical_crossentropy")
    rows = np.zeros((8, 4), np.float32), LABELS
    with pytest.raises(UserCodeError) as refused, taking(made, rows, spec()):
        made.fit(*rows, verbose=0)
    [problem] = refused.value.problems
    assert problem.field == "model"
    assert problem.expected == (
        "a model, a loss and metrics that take features (4,) float32, labels () int64, where the outputs are (3,)"
    )


def test_what_the_users_own_lines_raise_goes_through() -> None:
    with pytest.raises(ValueError, match="mine"), taking(model(), (np.zeros((8, 4)), LABELS), spec()):
        raise ValueError("mine")
