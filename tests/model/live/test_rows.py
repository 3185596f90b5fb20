"""What `raytrain.fit` takes as rows, held to what Keras makes of the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from raytrain.data.array_folder import read_arrays, write_arrays
from raytrain.data.packed import leaves
from raytrain.errors import UsageError
from raytrain.model.live.rows import last_rows, rows_given, validation_given

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


def batches_of_keras(*given: Any, **how: Any) -> list[Any]:
    """The first epoch's batches as `Model.fit` would feed them."""
    from keras.src.trainers.epoch_iterator import EpochIterator

    iterator = EpochIterator(*given, batch_size=4, shuffle=False, **how)
    return list(iterator.data_adapter.get_tf_dataset().as_numpy_iterator())


@pytest.mark.parametrize(
    "given",
    [
        (X, Y),
        (X.astype("float16"), Y.astype("int32"), np.linspace(0, 1, 10)),
        (X > 3, (Y % 2).astype(bool)),
        ({"b": X, "a": Y.astype("uint8")}, {"out": Y}),
        ([X, Y], Y),
        (pd.DataFrame({"p": Y, "q": X[:, 0]}), pd.Series(Y)),
        (tf.constant(X), tf.constant(Y)),
        (X, {"one": Y, "two": Y}, np.ones(10)),
        (np.array(["a", "bc"] * 5, dtype=object), Y),
        (np.asfortranarray(X)[::-1], Y[::2].repeat(2)),
    ],
    ids=lambda given: type(given[0]).__name__,
)
def test_rows_reach_a_worker_as_keras_feeds_them(given: Any, tmp_path: Any) -> None:
    write_arrays(tmp_path / "rows", rows_given(*(*given, None)[:3]).parts)

    read, fed = read_arrays(tmp_path / "rows"), batches_of_keras(*given)

    tf.nest.assert_same_structure(read, tuple(fed[0]))
    for ours, theirs in zip(leaves(read), leaves(fed[0]), strict=True):
        tensor = tf.convert_to_tensor(ours[:4]).numpy()
        assert tensor.dtype == theirs.dtype
        assert (tensor == theirs).all()


def test_the_example_is_a_batch_of_tensors_that_keras_builds_a_model_from() -> None:
    x, y = rows_given({"text": np.array(["a", "bc"], dtype=object), "number": X[:2]}, Y[:2], None).example()

    assert x["text"].dtype == tf.string and x["number"].dtype == tf.float32
    assert (x["number"].shape, y.shape) == ((1, 2), (1,))


def test_a_dataset_of_batches_is_its_rows_in_order() -> None:
    dataset = tf.data.Dataset.from_tensor_slices(({"x": X}, Y)).batch(4)

    rows = rows_given(dataset, None, None)

    assert (rows.batch_size, rows.rows) == (4, 10)
    assert list(rows.parts["y"]) == list(Y)


def test_the_last_rows_are_held_out_as_keras_holds_them_out() -> None:
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    train, held = last_rows(rows_given(X, Y, None), 0.25)

    (_, kept), (_, apart) = train_validation_split((X, Y), 0.25)
    assert list(train.parts["y"]) == list(kept[:])
    assert list(held.parts["y"]) == list(apart[:])


class Sequence(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches made as they are asked for."""

    def __getitem__(self, index: int) -> Any:
        return X, Y

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None, None, None), "no x"),
        (((row for row in X), None, None), "generator"),
        ((Sequence(workers=1), None, None), "Sequence"),
        ((tf.data.Dataset.range(3).repeat(), None, None), "without an end"),
        ((tf.data.Dataset.range(3), None, None), "single rows"),
        ((tf.data.Dataset.range(3).batch(2), Y, None), "beside a dataset"),
        ((tf.data.Dataset.range(0).batch(2), None, None), "empty dataset"),
        ((X, Y[:5], None), "5, 10 rows"),
        ((X, None, Y), "without y"),
        ((np.array([{}, []], dtype=object), None, None), "array of objects"),
        ((tf.sparse.from_dense(X), Y, None), "SparseTensor"),
        ((3.0, None, None), "a float"),
        ((np.float64(3), None, None), "single number"),
    ],
)
def test_rows_that_no_worker_could_be_fed_are_refused_in_words(given: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rows_given(*given)


def test_validation_data_of_another_form_is_refused() -> None:
    for data in (X, (), (X, Y, Y, Y)):
        with pytest.raises(UsageError, match="validation_data"):
            validation_given(data)
    for share in (-1, 0.999, 1.0):
        with pytest.raises(UsageError, match="validation_split"):
            last_rows(rows_given(X, Y, None), share)
