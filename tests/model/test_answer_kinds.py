"""What a model's outputs say, and how that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest

from raytrain.data.pipeline import Pipeline
from raytrain.errors import UsageError, UserCodeError
from raytrain.model.answer_kinds import AnswerKind, answer_kinds, outputs_of
from raytrain.model.answer_table import answer_table
from raytrain.model.fixed_batches import FixedBatches, batch_rows
from tests.flowers import flower_spec


def model_of(units: int, activation: str | None, loss: Any) -> keras.Model:
    model = keras.Sequential([keras.layers.Input([3]), keras.layers.Dense(units, activation=activation)])
    model.compile(loss=loss)
    return model


@pytest.mark.parametrize(
    ("units", "activation", "loss", "kind", "from_logits"),
    [
        (3, "softmax", "sparse_categorical_crossentropy", "classes", False),
        (3, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), "classes", True),
        (3, "softmax", keras.losses.CategoricalCrossentropy(), "classes", False),
        (3, "softmax", "mse", "classes", False),  # as its last layer tells
        (1, "sigmoid", "binary_crossentropy", "binary", False),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True), "binary", True),
        (1, None, "mse", "values", False),
        (4, "sigmoid", "binary_crossentropy", "values", False),  # four answers, each of its own
        (2, None, "mse", "values", False),
    ],
)
def test_the_loss_and_the_last_layer_tell(
    units: int, activation: str | None, loss: Any, kind: str, from_logits: bool, tmp_path: Path
) -> None:
    spec = flower_spec()
    [found] = answer_kinds(model_of(units, activation, loss), spec, Pipeline(spec, tmp_path))
    assert (found.name, found.label, found.kind, found.from_logits) == ("kind", "kind", kind, from_logits)


def test_outputs_have_labels_by_their_names(tmp_path: Path) -> None:
    given = keras.layers.Input([3], name="x")
    outputs = {
        "b": keras.layers.Dense(1, activation="sigmoid", name="b")(given),
        "a": keras.layers.Dense(1, name="a")(given),
    }
    model = keras.Model(given, outputs)
    model.compile(loss={"a": "mse", "b": "binary_crossentropy"})
    spec = flower_spec(label={"a": "height", "b": "id"})
    kinds = answer_kinds(model, spec, Pipeline(spec, tmp_path))
    assert {kind.name: (kind.kind, kind.label) for kind in kinds} == {"a": ("values", "height"), "b": ("binary", "id")}
    assert outputs_of({"a": 1, "b": 2}, kinds) == [{"a": 1, "b": 2}[kind.name] for kind in kinds]
    answers = FixedBatches(model, kinds, 2).answer(np.ones((3, 3), np.float32))
    table = answer_table(answers, kinds, carried=None, flat=False, asked=False)
    assert set(table.column_names) == {"prediction_a", "prediction_b", "probability_b"}


def test_batches_of_one_shape_answer_as_the_model_does() -> None:
    model = model_of(4, "softmax", "sparse_categorical_crossentropy")
    rows = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    kinds = [AnswerKind(name="y", kind="classes")]
    for size in (1, 4, 11, 100):
        batches = FixedBatches(model, kinds, size)
        [found] = batches.answer(rows)
        np.testing.assert_allclose(found, model.predict(rows, verbose=0), atol=1e-6)
        step: Any = batches._step
        assert step.experimental_get_tracing_count() == 1
    with pytest.raises(UserCodeError, match="got rows of 5 numbers for the model's input, expected 3"):
        batches.answer(np.ones((2, 5), np.float32))
    assert batch_rows((np.ones((1, 3)),)) == 1024
    assert batch_rows((np.ones((1, 1024, 1024, 3), np.float32),)) == 2


CLASSES = AnswerKind(name="y", kind="classes", names={0: "no", 1: "yes", 2: "maybe"})
SCORES = np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]], np.float32)


def test_classes_are_told_by_name() -> None:
    table = answer_table([SCORES], [CLASSES], carried=pa.table({"id": [7, 8]}), flat=False, asked=False)
    assert table.to_pylist()[0] == {
        "id": 7,
        "prediction": "yes",
        "probability": pytest.approx(0.7),
        "probabilities": pytest.approx([0.2, 0.7, 0.1]),
    }
    flat = answer_table([SCORES], [CLASSES], carried=None, flat=True, asked=False)
    assert flat.column_names[2:] == ["probabilities_no", "probabilities_yes", "probabilities_maybe"]
    assert flat.column("probabilities_no").to_pylist() == pytest.approx([0.2, 0.5])


def test_yes_or_no_and_numbers() -> None:
    logits = AnswerKind(name="y", kind="binary", from_logits=True)
    table = answer_table([np.array([[0.0], [3.0]])], [logits], carried=None, flat=True, asked=False)
    assert table.to_pydict() == {"prediction": [0, 1], "probability": pytest.approx([0.5, 0.9525741])}
    number = AnswerKind(name="y", kind="values")
    assert answer_table([np.array([[1.5], [2.5]])], [number], carried=None, flat=True, asked=False).to_pydict() == {
        "prediction": [1.5, 2.5]
    }
    pair = answer_table([np.ones((2, 2))], [number], carried=None, flat=False, asked=False)
    assert pair.column("prediction").to_pylist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(UsageError, match="lists of lists, in a csv file"):
        answer_table([np.ones((2, 2, 2))], [number], carried=None, flat=True, asked=False)


def test_a_carried_column_has_no_answers_name() -> None:
    carried = pa.table({"prediction": [1, 2]})
    assert (
        answer_table([SCORES], [CLASSES], carried=carried, flat=False, asked=False).column("prediction")[0].as_py()
        == "yes"
    )
    with pytest.raises(UsageError, match="--columns: got column `prediction`"):
        answer_table([SCORES], [CLASSES], carried=carried, flat=False, asked=True)
