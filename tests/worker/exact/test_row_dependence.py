"""Which rows a function's numbers depend on, told by trying it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import ops

from raytrain.worker.exact.row_dependence import Reach, adds_up, reach_of

Call = Callable[[Any, Any], Any]


def dice(y: Any, p: Any) -> Any:
    return (2 * ops.sum(y * p) + 1) / (ops.sum(y) + ops.sum(p) + 1)


def pairs(y: Any, p: Any) -> Any:
    return ops.abs(ops.mean(p, axis=-1)[:, None] - ops.mean(p, axis=-1)[None, :])


def over_the_labelled(is_label: Callable[[Any], Any]) -> Call:
    def loss(y: Any, p: Any) -> Any:
        has_label = ops.cast(is_label(y), "float32")
        return ops.sum(ops.where(is_label(y), ops.square(y - p), 0.0)) / ops.maximum(ops.sum(has_label), 1.0)

    return loss


def pairs_of_a_known_number(y: Any, p: Any) -> Any:
    rows = ops.reshape(p, (p.shape[0], -1))
    return ops.mean(pairs(y, rows) * (1 - ops.eye(p.shape[0])))


def printing(y: Any, p: Any) -> Any:
    tf.print(y)
    return ops.mean(p)


CASES: dict[str, tuple[Call, Reach]] = {
    "a number for each row": (lambda y, p: ops.mean(ops.square(y - p), axis=-1), Reach.ROW),
    "a number for each entry": (lambda y, p: ops.square(y - p), Reach.ROW),
    "entropy of each row": (keras.losses.binary_crossentropy, Reach.ROW),
    "a mean": (lambda y, p: ops.mean(ops.square(y - p)), Reach.MEAN),
    "accuracy": (lambda y, p: ops.mean(ops.cast(ops.equal(y, ops.round(p)), "float32")), Reach.MEAN),
    "a loss of Keras within": (lambda y, p: 2 * keras.losses.MeanAbsoluteError()(y, p), Reach.MEAN),
    "a sum": (lambda y, p: ops.sum(ops.square(y - p)), Reach.BATCH),
    "the root of a mean": (lambda y, p: ops.sqrt(ops.mean(ops.square(y - p))), Reach.BATCH),
    "Dice": (dice, Reach.BATCH),
    "Dice beside a number for each row": (lambda y, p: keras.losses.mean_squared_error(y, p) + dice(y, p), Reach.ROWS),
    "Dice of each class": (lambda y, p: ops.sum(y * p, axis=0) / ops.sum(y + p, axis=0), Reach.BATCH),
    "F1": (lambda y, p: 2 * ops.sum(y * ops.round(p)) / (1e-7 + ops.sum(y) + ops.sum(ops.round(p))), Reach.BATCH),
    "pairs": (lambda y, p: ops.mean(pairs(y, p)), Reach.BATCH),
    "pairs of a number of rows that is known beforehand": (pairs_of_a_known_number, Reach.BATCH),
    "each row's pairs": (lambda y, p: ops.max(pairs(y, p), axis=1), Reach.ROWS),
    "correlation": (lambda y, p: ops.mean((y - ops.mean(y)) * (p - ops.mean(p))), Reach.BATCH),
    "no label is 0": (over_the_labelled(lambda y: ops.not_equal(y, 0)), Reach.BATCH),
    "no label is -1": (over_the_labelled(lambda y: ops.not_equal(y, -1)), Reach.BATCH),
    "no label is below 0": (over_the_labelled(lambda y: ops.greater_equal(y, 0)), Reach.BATCH),
    "no label is -100": (over_the_labelled(lambda y: ops.not_equal(y, -100)), Reach.BATCH),
    "no label is 255": (over_the_labelled(lambda y: ops.not_equal(y, 255)), Reach.BATCH),
    "no label is 50256": (over_the_labelled(lambda y: ops.not_equal(y, 50256)), Reach.BATCH),
    "sure predictions only": (
        lambda y, p: ops.sum(ops.where(p > 0.9, y, 0.0)) / (1 + ops.sum(ops.cast(p > 0.9, "float32"))),
        Reach.BATCH,
    ),
    "no label is NaN": (over_the_labelled(lambda y: ops.logical_not(ops.isnan(y))), Reach.BATCH),
    "one number, that cannot be tried": (printing, Reach.BATCH),
    "numbers, that cannot be tried": (lambda y, p: printing(y, p) + p, Reach.ROW),
    "what fails for any number of rows": (lambda y, p: ops.mean(p @ ops.eye(p.shape[0])), Reach.ROW),
}


@pytest.mark.parametrize("shape", [(1,), (4,), (32, 32, 1), (None, 2)], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_how_far_a_function_reaches(name: str, shape: tuple[int | None, ...]) -> None:
    function, expected = CASES[name]
    spec = tf.TensorSpec([None, *shape], tf.float32)

    @tf.function  # type: ignore[untyped-decorator]
    def step(y_true: Any, y_pred: Any) -> Any:
        found.append(reach_of(function, y_true, y_pred))
        return y_pred

    found: list[Reach] = []
    step.get_concrete_function(spec, spec)
    assert found == [expected]


def test_classes_by_number() -> None:
    def mean_of_the_labelled(y: Any, p: Any) -> Any:
        has_label = ops.cast(ops.not_equal(y, -1), p.dtype)
        entropy = keras.losses.sparse_categorical_crossentropy(ops.maximum(y, 0), p)
        return ops.sum(entropy * has_label) / ops.sum(has_label)

    y_true, y_pred = tf.ones((8,), tf.int64), tf.ones((8, 3))
    assert reach_of(mean_of_the_labelled, y_true, y_pred) is Reach.BATCH
    assert reach_of(lambda y, p: ops.mean(keras.losses.sparse_categorical_crossentropy(y, p)), y_true, y_pred) is (
        Reach.MEAN
    )


class Counts(keras.metrics.Metric):  # type: ignore[misc]
    """Keeps the sum, or what `keep` makes of it and the batch's."""

    def __init__(self, keep: Call, number: Call = lambda y, p: ops.sum(y * p)) -> None:
        super().__init__()
        self.kept = self.add_variable((), "zeros")
        self._keep, self._number = keep, number

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.kept.assign(self._keep(self.kept, self._number(y_true, y_pred)))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        pytest.param(keras.metrics.Mean(), True, id="Keras' own mean"),
        pytest.param(Counts(ops.add), True, id="a sum"),
        pytest.param(Counts(ops.add, dice), False, id="a number a batch"),
        pytest.param(Counts(ops.add, lambda y, p: 1.0), False, id="a count of batches"),
        pytest.param(Counts(ops.maximum, lambda y, p: ops.max(p)), False, id="a maximum"),
        pytest.param(Counts(lambda kept, number: 0.9 * kept + 0.1 * number), True, id="a sum that fades"),
        pytest.param(Counts(ops.add, printing), True, id="what cannot be tried"),
    ],
)
def test_whether_a_metrics_state_adds_up(metric: keras.metrics.Metric, expected: bool) -> None:
    found = []

    @tf.function  # type: ignore[untyped-decorator]
    def step(y_true: Any, y_pred: Any) -> Any:
        found.append(
            adds_up(
                metric, [y_true], [y_pred], lambda labels, others: (others, {}) if simple else (labels + others, {})
            )
        )
        return y_pred

    simple = isinstance(metric, keras.metrics.Mean)
    spec = tf.TensorSpec([None, 4], tf.float32)
    step.get_concrete_function(spec, spec)
    assert found == [expected]


def test_trying_changes_nothing_of_the_users() -> None:
    center, calls = keras.Variable(1.0), []

    def loss(y: Any, p: Any) -> Any:
        calls.append(1)
        center.assign(center * 0.9)
        return ops.mean(p - center)

    with tf.GradientTape() as tape:
        tape.watch(kept := tf.ones((4, 2)))
        assert reach_of(loss, kept, kept) is Reach.MEAN
    assert float(center.value) == 1.0
    assert len(calls) == 1
