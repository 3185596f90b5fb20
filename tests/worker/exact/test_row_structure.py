"""Whether numbers belong to single rows, as a function's graph shows: the rows themselves are never made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from raytrain.worker.exact.row_facts import FREE, Kind
from raytrain.worker.exact.row_structure import Given, given, structure_of

Call = Callable[[Any, Any], Any]


def dice(y: Any, p: Any) -> Any:
    return (2 * ops.sum(y * p) + 1) / (ops.sum(y) + ops.sum(p) + 1)


def pairs(y: Any, p: Any) -> Any:
    p = ops.mean(ops.reshape(p, (p.shape[0], -1)), axis=-1)
    return ops.abs(p[:, None] - p[None, :])


def focal(y: Any, p: Any) -> Any:
    p = ops.clip(p, 1e-7, 1 - 1e-7)
    right = ops.where(ops.equal(y, 1), p, 1 - p)
    return -ops.mean(ops.power(1 - right, 2.0) * ops.log(right), axis=-1)


def printing(y: Any, p: Any) -> Any:
    tf.print(y)
    return tf.py_function(lambda kept: kept, [p], tf.float32)


def of_a_number_of_rows(y: Any, p: Any) -> Any:
    return ops.mean(p) if p.shape[0] == 24 else ops.max(p)


CASES: dict[str, tuple[Call, Kind]] = {
    "a number for each row": (lambda y, p: ops.mean(ops.square(y - p), axis=-1), Kind.ROWS),
    "a number for each entry": (lambda y, p: ops.square(y - p), Kind.ROWS),
    "focal": (focal, Kind.ROWS),
    "entropy": (keras.losses.binary_crossentropy, Kind.ROWS),
    "entropy of classes": (keras.losses.categorical_crossentropy, Kind.ROWS),
    "entropy of classes by number": (
        lambda y, p: keras.losses.sparse_categorical_crossentropy(ops.argmax(y, axis=-1), p),
        Kind.ROWS,
    ),
    "Huber": (keras.losses.huber, Kind.ROWS),
    "cosine": (keras.losses.cosine_similarity, Kind.ROWS),
    "divergence": (keras.losses.kl_divergence, Kind.ROWS),
    "accuracy of each row": (keras.metrics.categorical_accuracy, Kind.ROWS),
    "Dice of each row": (lambda y, p: keras.losses.dice(y, p, axis=-1), Kind.ROWS),
    "weights of classes": (
        lambda y, p: ops.sum(ops.take(np.arange(3, dtype="float32"), ops.argmax(y, -1)) * p[..., 0]),
        Kind.SUM,
    ),
    "the last step of each row": (lambda y, p: ops.abs(y[:, -1] - p[:, -1]), Kind.ROWS),
    "what is turned": (lambda y, p: ops.transpose(ops.transpose(y) * ops.transpose(p)), Kind.ROWS),
    "each row's own matrix": (lambda y, p: ops.einsum("bi,bj->bij", y, p), Kind.ROWS),
    "each row's best": (lambda y, p: ops.top_k(p, 2)[0], Kind.ROWS),
    "rows with others of their own": (lambda y, p: ops.concatenate([y, p], axis=-1), Kind.ROWS),
    "a number for each entry, in one line": (lambda y, p: ops.reshape(ops.square(y - p), (-1,)), Kind.ROWS),
    "a mean": (lambda y, p: ops.mean(ops.square(y - p)), Kind.MEAN),
    "a mean of means": (lambda y, p: 0.5 * ops.mean(ops.mean(y - p, axis=-1)) + 1.0, Kind.MEAN),
    "accuracy": (lambda y, p: ops.mean(ops.cast(ops.equal(y, ops.round(p)), "float32")), Kind.MEAN),
    "a loss of Keras within": (lambda y, p: 2 * keras.losses.MeanAbsoluteError()(y, p), Kind.MEAN),
    "a sum over the rows by their number": (lambda y, p: ops.sum(p) / ops.cast(ops.shape(p)[0], p.dtype), Kind.MEAN),
    "a sum": (lambda y, p: ops.sum(ops.square(y - p)), Kind.SUM),
    "a product of the rows with themselves": (lambda y, p: ops.matmul(ops.transpose(y), p), Kind.SUM),
    "the root of a mean": (lambda y, p: ops.sqrt(ops.mean(ops.square(y - p))), Kind.MIXED),
    "Dice": (dice, Kind.MIXED),
    "Dice beside a number for each row": (lambda y, p: keras.losses.mean_squared_error(y, p) + dice(y, p), Kind.MIXED),
    "Dice of each class": (lambda y, p: ops.sum(y * p, axis=0) / ops.sum(y + p, axis=0), Kind.MIXED),
    "a threshold that no made-up number passes": (
        lambda y, p: ops.sum(y * ops.cast(p > 1e6, "float32")) / (ops.sum(ops.cast(p > 1e6, "float32")) + 1e-7),
        Kind.MIXED,
    ),
    "pairs": (lambda y, p: ops.mean(pairs(y, p)), Kind.MIXED),
    "each row's pairs": (lambda y, p: ops.max(pairs(y, p), axis=1), Kind.MIXED),
    "pairs by a product": (lambda y, p: ops.matmul(y, ops.transpose(p)), Kind.MIXED),
    "correlation": (lambda y, p: ops.mean((y - ops.mean(y)) * (p - ops.mean(p))), Kind.MIXED),
    "rows less their mean": (lambda y, p: p - ops.mean(p, axis=0), Kind.MIXED),
    "the greatest of all": (lambda y, p: p / ops.max(p), Kind.MIXED),
    "a row before": (lambda y, p: p - ops.concatenate([p[1:], p[:1]], axis=0), Kind.MIXED),
    "rows in reverse": (lambda y, p: p - p[::-1], Kind.MIXED),
    "rows by their place": (lambda y, p: p * ops.arange(p.shape[0], dtype="float32")[:, None], Kind.MIXED),
    "rows by their number": (lambda y, p: p * (1.0 / p.shape[0]), Kind.MIXED),
    "rows in groups": (lambda y, p: ops.mean(ops.reshape(p, (4, -1, 3)), axis=0), Kind.MIXED),
    "what is added up along the rows": (lambda y, p: ops.cumsum(p, axis=0), Kind.MIXED),
    "a share among the rows": (lambda y, p: ops.softmax(p, axis=0), Kind.MIXED),
    "what cannot be seen into": (printing, Kind.UNKNOWN),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_graph_shows(name: str) -> None:
    function, expected = CASES[name]
    spec = tf.TensorSpec([None, 3], tf.float32)
    found = structure_of(lambda tensors: [function(*tensors)], [given(spec), given(spec)])
    assert found is not None
    assert [output.fact.kind for output in found] == [expected]


@pytest.mark.parametrize("shape", [(1,), (4,), (8, 8, 1), (None, 2)], ids=str)
@pytest.mark.parametrize("name", ["a number for each row", "a mean", "Dice", "focal", "pairs"])
def test_shapes_do_not_matter(name: str, shape: tuple[int | None, ...]) -> None:
    function, expected = CASES[name]
    spec = tf.TensorSpec([None, *shape], tf.float32)
    found = structure_of(lambda tensors: [function(*tensors)], [given(spec), given(spec)])
    assert found is not None
    assert [output.fact.kind for output in found] == [expected]


def test_what_is_another_function_for_another_number_of_rows_is_not_read() -> None:
    spec = tf.TensorSpec([None, 3], tf.float32)
    assert structure_of(lambda tensors: [of_a_number_of_rows(*tensors)], [given(spec), given(spec)]) is None


def test_how_many_entries_a_row_has() -> None:
    spec = tf.TensorSpec([None, 3], tf.float32)
    found = structure_of(
        lambda tensors: [tensors[0], ops.reshape(tensors[0], (-1,)), ops.sum(tensors[0], axis=0)], [given(spec)]
    )
    assert found is not None
    assert [output.entries_a_row for output in found] == [1, 3, 0]


def test_a_tensor_without_rows_is_the_same_for_all() -> None:
    rows, table = tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([3, 5], tf.float32)
    found = structure_of(
        lambda tensors: [ops.matmul(*tensors), ops.softmax(tensors[1], axis=0)],
        [given(rows), Given(shape=(3, 5), dtype=table.dtype, fact=FREE)],
    )
    assert found is not None
    assert [output.fact.kind for output in found] == [Kind.ROWS, Kind.FREE]


def test_reading_changes_nothing_of_the_users() -> None:
    center = keras.Variable(1.0)

    def loss(tensors: Any) -> Any:
        with keras.StatelessScope():
            center.assign(center * 0.9)
            return [ops.mean(tensors[0] - center)]

    with tf.GradientTape() as tape:
        tape.watch(kept := tf.ones((4, 2)))
        found = structure_of(loss, [given(kept)])
    assert found is not None
    assert found[0].fact.kind is Kind.MEAN
    assert float(center.value) == 1.0
