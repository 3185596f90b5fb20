"""A job that starts from a saved model trains it as plain Keras does, which has loaded it after the user's file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from raytrain.run.events import Initialised
from tests.conformance.cases import BCE, Row, make
from tests.conformance.test_matrix import WORKERS, compare
from tests.worker.conftest import Pools
from tests.worker.pool import Case

OWN = """
import keras
@keras.saving.register_keras_serializable("shop")
class Squash(keras.layers.Layer):
    def __init__(self, rate=1.0, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
    def call(self, x):
        return keras.ops.tanh(self.rate * x)
    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
"""
UNREGISTERED = OWN.replace('@keras.saving.register_keras_serializable("shop")', "").replace("Squash", "Plain")
FIRST = """
def build_model():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), LAYER, keras.layers.Dense(1, "sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["mse"])
    return model
class Save(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        for path in PATHS:
            self.model.save(path)
def callbacks():
    return [Save()]
"""
SECOND = f"""
def build_model(base):
    base.trainable = False
    base.get_layer(index=-1).trainable = True
    model = keras.Sequential([keras.Input((6,)), base, keras.layers.Dense(1, "sigmoid")])
    model.compile(optimizer=keras.optimizers.SGD(0.1), {BCE})
    return model
"""
ALLOWS = "import keras\nkeras.config.enable_unsafe_deserialization()\n"


def saved(pools: Pools, tmp_path: Path, before: str, layer: str) -> dict[str, Path]:
    """What plain Keras has trained and saved, by suffix."""
    paths = {suffix: tmp_path / f"base.{suffix}" for suffix in ("keras", "h5")}
    text = before + FIRST.replace("LAYER", layer).replace("PATHS", repr([str(path) for path in paths.values()]))
    [first] = pools(0).run(make(text, epochs=1, callbacks="model.py:callbacks"), tmp_path)
    assert not first.error, first.error
    return paths


def second(base: Path, before: str) -> Case:
    return replace(make(before + SECOND, init_from=base.name), base=base)


@pytest.mark.parametrize(
    ("before", "layer", "suffix"),
    [
        pytest.param(OWN, "Squash(0.7)", "keras", id="a class that the file registers"),
        pytest.param(OWN, "Squash(0.7)", "h5", id="likewise, in an older file"),
        pytest.param(ALLOWS, "keras.layers.Lambda(lambda x: x * 0.5)", "keras", id="a Lambda that the file allows"),
        pytest.param("import keras\n", 'keras.layers.Activation("tanh")', "h5", id="an older file of Keras' own"),
    ],
)
@pytest.mark.parametrize("workers", WORKERS)
def test_n_workers_start_from_what_plain_keras_saved(
    before: str, layer: str, suffix: str, workers: int, pools: Pools, tmp_path: Path
) -> None:
    case = second(saved(pools, tmp_path, before, layer)[suffix], before)
    [reference] = pools(0).run(case, tmp_path)
    assert not reference.error, reference.error
    pools(workers).restart()  # which knows no class of an earlier case
    subjects = pools(workers).run(case, tmp_path / "run")
    assert not subjects[0].error, subjects[0].error
    compare(Row(group="base", case=case), subjects[0], reference)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_lambda_of_an_older_file_and_a_class_that_nobody_registers(suffix: str, pools: Pools, tmp_path: Path) -> None:
    """Plain Keras takes both only by arguments of `load_model`."""
    for before, layer in ((ALLOWS, "keras.layers.Lambda(lambda x: x * 0.5)"), (UNREGISTERED, "Plain(0.7)")):
        case = second(saved(pools, tmp_path, before, layer)[suffix], before)
        outcomes = pools(2).run(case, tmp_path / f"{len(before)}")
        assert not outcomes[0].error, outcomes[0].error
        assert len(outcomes[0].history) == 2


def test_what_was_compiled_with_more_than_the_job_has_is_compiled_anew(pools: Pools, tmp_path: Path) -> None:
    own = "import keras\ndef closeness(y, p):\n    return keras.ops.mean(keras.ops.abs(y - p), axis=-1)\n"
    text = own + FIRST.replace("LAYER", "keras.layers.Dense(4)").replace('"mse"', "closeness")
    base = tmp_path / "base.keras"
    pools(0).run(make(text.replace("PATHS", repr([str(base)])), callbacks="model.py:callbacks"), tmp_path)
    case = second(base, "import keras\n")
    [subject] = pools(1).run(case, tmp_path / "run")
    assert not subject.error, subject.error
    compiled = {"optimizer": "sgd", "loss": "binary_crossentropy"}
    spec = {name: value for name, value in case.spec.items() if name != "init_from"}
    trained = replace(case, spec=spec | {"model": {"file": "base.keras"}, "compile": compiled})
    [subject] = pools(1).run(trained, tmp_path / "file")
    assert not subject.error, subject.error


@pytest.mark.parametrize(
    ("before", "layer", "said"),
    [
        (OWN, "Squash(0.7)", "Could not locate class 'Squash'.*define it in model.py, or import it there"),
        (ALLOWS, "keras.layers.Lambda(lambda x: x)", "if you trust the model, call keras.config.enable_unsafe_"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_words(
    before: str, layer: str, said: str, pools: Pools, tmp_path: Path
) -> None:
    case = second(saved(pools, tmp_path, before, layer)["keras"], "import keras\n")
    pools(1).restart()
    [outcome] = pools(1).run(case, tmp_path / "run")
    problem = outcome.error.strip().splitlines()[-1]
    assert "init_from" in problem
    assert "saved by Keras 3." in problem
    assert re.search(said, problem), problem


HEAD = f"""
def build_model(base):
    model = keras.Sequential([keras.Input((6,)), base, keras.layers.Dense(1, "sigmoid", name="head")])
    model.compile(optimizer=keras.optimizers.SGD(0.1), {BCE})
    return model
"""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_each_layer_begins_with_is_told_and_frozen_ones_stay(pools: Pools, tmp_path: Path) -> None:
    base = saved(pools, tmp_path, "import keras\n", 'keras.layers.Dense(4, name="conv1")')["keras"]
    case = replace(make("import keras\n" + HEAD, init_from=base.name, freeze=["conv*"]), base=base)
    before = keras.saving.load_model(base).get_weights()

    outcomes = pools(2).run(case, tmp_path / "run")

    assert not outcomes[0].error, outcomes[0].error
    [told] = outcomes[0].of(Initialised)
    assert len(told.taken) == 3 and (told.left, told.frozen) == (["head"], ["conv1"])
    moved = [not np.array_equal(*pair) for pair in zip(outcomes[0].weights, before, strict=False)]
    assert moved == [True, True, False, False, True, True]
