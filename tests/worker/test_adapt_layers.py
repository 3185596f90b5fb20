from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from raytrain.errors import UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.worker.adapt_layers import adapt_layers
from tests.worker.conftest import Pools
from tests.worker.pool import Case

TEXT = np.array(["red green", "red", "red blue green", "blue"], dtype=object)
NUMBERS = np.arange(12.0, dtype=np.float32).reshape(4, 3) ** 2


def spec(adapt: dict[str, Any], features: Any = "x") -> JobSpec:
    data = {"train": {"inline": {"x": [0]}}, "features": features, "adapt": adapt}
    return JobSpec.model_validate({"name": "a", "model": "model.py:f", "data": data})


def rows_of(rows: Any, cuts: tuple[int, ...] = ()) -> Callable[[], Iterator[Any]]:
    return lambda: ((part,) for part in np.split(rows, cuts))


def adapted(layer: keras.layers.Layer, rows: Any, *, cuts: tuple[int, ...] = ()) -> keras.layers.Layer:
    model = keras.Sequential([layer])
    adapt_layers(model, spec({layer.name: "x"}), rows_of(rows, cuts), tf.distribute.get_strategy())
    return layer


def test_a_vocabulary_is_that_of_keras_itself() -> None:
    layer, own = keras.layers.TextVectorization(max_tokens=9), keras.layers.TextVectorization(max_tokens=9)
    own.adapt(TEXT)
    assert adapted(layer, TEXT).get_vocabulary() == own.get_vocabulary() == ["", "[UNK]", "red", "green", "blue"]


def test_words_and_numbers_of_one_a_row() -> None:
    words = np.array(["b", "a", "b", "c", "b", "a"], dtype=object)
    assert adapted(keras.layers.StringLookup(), words).get_vocabulary() == ["[UNK]", "b", "a", "c"]
    normalization = adapted(keras.layers.Normalization(), np.array([1.0, 3.0], np.float32))
    np.testing.assert_allclose(normalization(np.array([[1.0], [3.0]])), [[-1.0], [1.0]])


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2, 3)])
def test_how_the_rows_are_cut_does_not_matter(cuts: tuple[int, ...]) -> None:
    own = keras.layers.Normalization()
    own.adapt(NUMBERS)
    layer = adapted(keras.layers.Normalization(), NUMBERS, cuts=cuts)
    np.testing.assert_allclose(layer(NUMBERS), own(NUMBERS), rtol=1e-6)
    bins = adapted(keras.layers.Discretization(num_bins=3), NUMBERS, cuts=cuts)
    whole = adapted(keras.layers.Discretization(num_bins=3), NUMBERS)
    assert bins.bin_boundaries == whole.bin_boundaries


def test_each_layer_learns_from_its_own_input() -> None:
    text, number = keras.Input((), name="t", dtype="string"), keras.Input((3,), name="n")
    words = keras.layers.TextVectorization(name="words", output_mode="multi_hot", max_tokens=5, pad_to_max_tokens=True)
    scaled = keras.layers.Normalization(name="scaled")
    model = keras.Model([text, number], keras.layers.Concatenate()([words(text), scaled(number)]))
    job = spec({"words": "review", "scaled": ["a", "b", "c"]}, {"t": "review", "n": ["a", "b", "c"]})
    adapt_layers(model, job, lambda: iter([({"t": TEXT, "n": NUMBERS},)]), tf.distribute.get_strategy())
    assert words.get_vocabulary() == ["[UNK]", "red", "green", "blue"]
    np.testing.assert_allclose(scaled(NUMBERS).numpy().mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "got", "fix"),
    [
        ("word", "layer `word`", "did you mean `words`?"),
        ("dense", "layer `dense`, a Dense without adapt()", "name the layer"),
        ("words", "x, from which layer `words` does not learn", ""),
    ],
)
def test_what_cannot_be_adapted(name: str, got: str, fix: str) -> None:
    given = keras.layers.StringLookup(vocabulary=["a"], name="words")
    model = keras.Sequential([given, keras.layers.Dense(1, name="dense")])
    with pytest.raises(UserCodeError) as refused:
        adapt_layers(model, spec({name: "x"}), rows_of(TEXT), tf.distribute.get_strategy())
    [problem] = refused.value.problems
    assert problem.field == f"data.adapt.{name}"
    assert problem.got.startswith(got)
    assert problem.fix.startswith(fix)


MODEL = """\
import keras, numpy as np, tensorflow as tf
from raytrain.spec.job import JobSpec
from raytrain.worker.adapt_layers import adapt_layers
from raytrain.data.tiers.readers import InMemory

def build_model():
    keras.utils.set_random_seed(0)
    text, number = keras.Input((), name="t", dtype="string"), keras.Input((3,), name="n")
    words = keras.layers.TextVectorization(name="words", output_mode="multi_hot", max_tokens=5, pad_to_max_tokens=True)
    scaled = keras.layers.Normalization(name="scaled")
    joined = keras.layers.Concatenate()([words(text), scaled(number)])
    model = keras.Model([text, number], keras.layers.Dense(1)(joined))
    data = {"train": {"inline": {"x": [0]}}, "features": {"t": "t", "n": "n"}, "adapt": {"words": "t", "scaled": "n"}}
    spec = JobSpec.model_validate({"name": "a", "model": "model.py:f", "data": data})
    rows = {"t": np.array(TEXT, dtype=object), "n": np.array(NUMBERS, np.float32)}
    adapt_layers(model, spec, InMemory((rows,)).all_rows, tf.distribute.get_strategy())
    model.compile("sgd", "mse")
    return model
"""


def test_two_workers_train_on_what_they_adapted_to_as_one_process_does(pools: Pools, tmp_path: Path) -> None:
    text, numbers = np.tile(TEXT, 4), np.tile(NUMBERS, (4, 1)) / 100
    labels = np.arange(16, dtype=np.float32)[:, None] / 16
    case = Case(
        model_py=f"TEXT = {text.tolist()}\nNUMBERS = {numbers.tolist()}\n{MODEL}",
        spec={"fit": {"epochs": 2, "global_batch_size": 8}},
        splits={"train": ({"t": text, "n": numbers}, labels), "validation": ({"t": text, "n": numbers}, labels)},
    )
    [plain] = pools(0).run(case, tmp_path / "plain")
    first, second = pools(2).run(case, tmp_path / "two")
    assert not (plain.error or first.error or second.error)
    for one, other in zip(first.history, plain.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
