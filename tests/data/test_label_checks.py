from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raytrain.data.label_checks import check_labels, one_class, unseen_classes
from raytrain.errors import UserCodeError
from raytrain.run.explanations import ONE_CLASS
from tests.data.preprocess.tables import job

SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"


def dense(units: int, *more: Any) -> list[Any]:
    return [{"Input": {"shape": [1]}}, {"Dense": {"units": units}}, *more]


@pytest.mark.parametrize(
    ("loss", "layers", "labels", "expected"),
    [
        (SPARSE, dense(3), [0, 3], "classes numbered from 0 to 2, as the last layer has 3 units"),
        (SPARSE, dense(3, {"Softmax": None}), [0, 3], "classes numbered from 0 to 2, as the last layer has 3 units"),
        ({"name": "SparseCategoricalCrossentropy", "from_logits": True}, dense(2), [2], "classes numbered from 0 to 1"),
        (SPARSE, None, [-1, 1], "classes numbered from 0"),
        (SPARSE, None, [0.5], "whole numbers, one for each class"),
        (BINARY, dense(1), [-1, 1], "labels from 0 to 1, which is what binary_crossentropy takes"),
        ("BinaryFocalCrossentropy", dense(1), [0, 2], "labels from 0 to 1"),
    ],
)  # fmt: skip
def test_labels_that_the_loss_cannot_take(loss: Any, layers: Any, labels: list[float], expected: str) -> None:
    with pytest.raises(UserCodeError) as refused:
        check_labels(np.array(labels), job(label="y", loss=loss, layers=layers))
    [problem] = refused.value.problems
    assert problem.field == "data.label"
    assert problem.got == f"labels from {min(labels):g} to {max(labels):g} in column `y`"
    assert problem.expected.startswith(expected)


@pytest.mark.parametrize(
    ("loss", "layers", "labels"),
    [
        (SPARSE, dense(3), [0, 2]),
        (SPARSE, dense(3, {"Reshape": {"target_shape": [1, 3]}}), [9]),
        (SPARSE, None, [1.0, 7.0]),
        (BINARY, dense(1), [0.0, 0.3, 1.0]),
        ("mse", dense(1), [-5, 99]),
        ({"name": "Huber"}, dense(1), [-5, 99]),
        ("model.py:my_loss", None, [-5, 99]),
        (SPARSE, dense(3), []),
    ],
)
def test_labels_that_fit(loss: Any, layers: Any, labels: list[float]) -> None:
    check_labels(np.array(labels), job(label="y", loss=loss, layers=layers))


def test_a_loss_of_vectors_takes_no_class_numbers() -> None:
    spec = job(label="y", loss="categorical_crossentropy", layers=dense(3))
    with pytest.raises(UserCodeError, match=r"one number a row in column `y`.*one_hot: \{columns: \[y\]\}"):
        check_labels(np.array([0, 2]), spec)
    check_labels(np.eye(3), spec)


def test_every_output_has_its_own_loss() -> None:
    spec = job(label={"p": "a", "q": "b"}, loss={"p": "mse", "q": BINARY})
    check_labels({"p": np.array([7.0]), "q": np.array([1.0])}, spec)
    with pytest.raises(UserCodeError, match="labels from 7 to 7 in column `q`"):
        check_labels({"p": np.array([7.0]), "q": np.array([7.0])}, spec)


def test_classes_that_train_does_not_have_are_told() -> None:
    spec = job(label="y", loss=SPARSE)
    train = (np.zeros(3), np.array([0, 1, 1]))
    others = {"validation": (np.zeros(2), np.array([1, 0])), "test": (np.zeros(2), np.array([7, 1]))}
    assert unseen_classes(train, others, spec) == ["test has classes of `y` that no train row has: 7"]
    assert unseen_classes(train, others, job(label="y", loss="mse")) == []
    assert unseen_classes((np.zeros(3),), {"test": (np.zeros(2),)}, job()) == []


@pytest.mark.parametrize(
    ("loss", "labels", "said"),
    [
        (SPARSE, [3, 3, 3], [f"{ONE_CLASS} in `y`: 3"]),
        (BINARY, [1.0, 1.0], [f"{ONE_CLASS} in `y`: 1.0"]),
        ("categorical_crossentropy", [[0, 1], [0, 1]], [f"{ONE_CLASS} in `y`: [0 1]"]),
        ("categorical_crossentropy", [[0, 1], [1, 0]], []),
        (SPARSE, [3, 2, 3], []),
        (SPARSE, [3], []),
        (SPARSE, [], []),
        ("mse", [3, 3, 3], []),
        (None, [3, 3, 3], []),
    ],
)
def test_labels_of_one_class_are_told(loss: Any, labels: list[Any], said: list[str]) -> None:
    assert one_class((np.zeros(len(labels)), np.array(labels)), job(label="y", loss=loss)) == said
    assert one_class((np.zeros(len(labels)),), job(label="y", loss=loss)) == []


def test_labels_of_several_lengths_have_no_one_class() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.array([1]), np.array([1, 2])]
    assert one_class((np.zeros(2), ragged), job(label="y", loss=SPARSE)) == []


def test_a_class_that_the_loss_ignores_is_none() -> None:
    loss = {"name": "SparseCategoricalCrossentropy", "ignore_class": 255}
    labels = np.array([[0, 255], [2, 1]], np.uint8)
    check_labels(labels, job(label="y", loss=loss, layers=dense(3)))
    check_labels(labels[:1, 1:], job(label="y", loss=loss, layers=dense(3)))
    check_labels({"p": labels}, job(label={"p": "a"}, loss={"p": loss}))
    with pytest.raises(UserCodeError, match="labels from 0 to 2"):
        check_labels(labels, job(label="y", loss=loss, layers=dense(2)))
    train = (np.zeros(2), np.array([0, 1]))
    assert unseen_classes(train, {"test": (np.zeros(2), np.array([255, 1]))}, job(label="y", loss=loss)) == []
