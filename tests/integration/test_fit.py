"""`raytrain.fit` beside `model.fit`: the same weights, optimizer, history and callbacks, on a real cluster."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import raytrain
from tests.s3 import KEYS, s3_server

TOLERANCE = 4e-5
GAIN = 0.5  # of this module, which no worker has
ROWS = np.random.default_rng(0).normal(size=(203, 8))
LABELS = ROWS[:, :1] ** 2 + ROWS[:, 1:2]
fit = functools.partial(raytrain.fit, verbose=0)


@keras.saving.register_keras_serializable(package="mine")
class Scale(keras.layers.Layer):  # type: ignore[misc]
    def __init__(self, by: float = 2.0, **named: Any) -> None:
        super().__init__(**named)
        self.by = by

    def call(self, inputs: Any) -> Any:
        return inputs * self.by * GAIN

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by": self.by}


class Gate(keras.layers.Layer):  # type: ignore[misc]
    def build(self, shape: Any) -> None:
        self.gate = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.gate


class Seen(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps what it saw, adds a figure of its own, and looks at the model."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.names: dict[int, str] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])
        self.names[epoch] = self.model.name
        logs["own"] = 2.0 * epoch


def weighted_mse(factor: float) -> Callable[[Any, Any], Any]:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    return loss


def of_own_parts() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            Scale(3.0),
            keras.layers.Dense(16, activation="relu"),
            Gate(),
            keras.layers.Lambda(lambda tensor: tensor + GAIN),
            keras.layers.Dense(1),
        ],
        name="own",
    )
    model.compile(keras.optimizers.Adam(1e-2), weighted_mse(0.7), metrics=["mae", keras.metrics.RootMeanSquaredError()])
    return model


def of_two_inputs() -> keras.Model:
    keras.utils.set_random_seed(2)
    left, right = keras.Input((3,), name="left"), keras.Input((5,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = {"sum": keras.layers.Dense(1, name="sum")(joined), "sign": keras.layers.Dense(2, name="sign")(joined)}
    model = keras.Model({"left": left, "right": right}, outputs)
    losses = {"sum": "mse", "sign": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile("rmsprop", losses, metrics={"sign": ["accuracy"]})
    return model


def unbuilt() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def same(plain: keras.Model, ours: keras.Model, *evaluated: Any) -> None:
    for mine, theirs in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=TOLERANCE)
    for mine, theirs in zip(ours.optimizer.variables, plain.optimizer.variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=TOLERANCE)
    assert list(ours.history.history) == list(plain.history.history)
    assert ours.history.epoch == plain.history.epoch
    for name, values in plain.history.history.items():
        np.testing.assert_allclose(ours.history.history[name], values, atol=TOLERANCE, err_msg=name)
    told = [model.evaluate(*evaluated, verbose=0, return_dict=True) for model in (ours, plain)]
    assert told[0] == pytest.approx(told[1], abs=TOLERANCE)


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.thorough)])
def test_it_is_model_fit_and_goes_on_as_that_does(here: None, workers: int) -> None:
    """Own layers, a closure as loss, a lambda, weights, held-out rows, callbacks; then a second call."""
    plain, ours = of_own_parts(), of_own_parts()
    theirs, mine = [[Seen(), keras.callbacks.EarlyStopping("val_loss", patience=9)] for _ in range(2)]
    weights = np.linspace(0.5, 1.5, len(ROWS))
    how: dict[str, Any] = {"batch_size": 32, "shuffle": False, "validation_split": 0.2, "sample_weight": weights}

    for epochs, first in ((2, 0), (4, 2)):
        plain.fit(ROWS, LABELS, epochs=epochs, initial_epoch=first, callbacks=theirs, verbose=0, **how)
        history = fit(ours, ROWS, LABELS, epochs=epochs, initial_epoch=first, callbacks=mine, workers=workers, **how)
        same(plain, ours, ROWS, LABELS)

    assert history is ours.history and history.params["epochs"] == 4
    np.testing.assert_allclose(mine[0].losses, theirs[0].losses, atol=TOLERANCE)
    assert mine[0].names == theirs[0].names
    assert mine[0].model is ours
    assert mine[1].best == pytest.approx(theirs[1].best, abs=TOLERANCE)
    run = raytrain.runs(limit=1)[0]
    assert run.summary().workers == workers
    np.testing.assert_allclose(run.model().predict(ROWS, verbose=0), ours.predict(ROWS, verbose=0), atol=1e-6)


@pytest.mark.thorough
def test_dicts_of_inputs_and_outputs_and_validation_data(here: None) -> None:
    plain, ours = of_two_inputs(), of_two_inputs()
    rows = ROWS.astype("float32")[:192]  # full batches: each output's own loss is a mean of batches' means
    x = {"left": rows[:, :3], "right": rows[:, 3:]}
    y = {"sum": rows.sum(axis=1), "sign": (rows[:, 0] > 0).astype("int64")}
    held = ({name: part[:64] for name, part in x.items()}, {name: part[:64] for name, part in y.items()})
    how: dict[str, Any] = {"batch_size": 32, "shuffle": False, "epochs": 2, "validation_data": held}

    plain.fit(x, y, verbose=0, **how)
    fit(ours, x, y, workers=2, **how)

    same(plain, ours, x, y)


def of_lists() -> keras.Model:
    """Made of two inputs in a list, which its class computes with as such; a metric and an activation are lambdas."""
    keras.utils.set_random_seed(5)
    left, right = keras.Input((3,)), keras.Input((5,))
    joined = keras.layers.Dense(4, activation=lambda tensor: tensor * GAIN)(keras.layers.Concatenate()([left, right]))
    outputs = [keras.layers.Dense(units, name=f"out_{units}")(joined) for units in (1, 2)]
    model = keras.Model([left, right], outputs)
    mean = keras.metrics.MeanMetricWrapper(lambda y_true, y_pred: keras.ops.abs(y_true - y_pred)[:, 0], name="off")
    model.compile("adamw", ["mse", "mae"], metrics=[[mean], []], loss_weights=[1.0, 0.5])
    return model


@pytest.mark.thorough
def test_lists_of_inputs_and_outputs_weights_of_each_and_lambdas(here: None) -> None:
    plain, ours = of_lists(), of_lists()
    rows = ROWS.astype("float32")[:192]
    x, y = [rows[:, :3], rows[:, 3:]], [rows[:, :1], rows[:, 1:3]]
    how: dict[str, Any] = {"shuffle": False, "epochs": 2, "sample_weight": [np.linspace(0, 1, 192), np.ones(192)]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about lambdas that it is to save
        plain.fit(x, y, verbose=0, **how)
        fit(ours, x, y, workers=2, **how)
        same(plain, ours, x, y)


@pytest.mark.thorough
def test_frames_and_classes_of_unequal_weight_train_an_unbuilt_model(here: None) -> None:
    plain, ours = unbuilt(), unbuilt()
    frame = pd.DataFrame(ROWS, columns=list("abcdefgh"))
    signs = pd.Series((ROWS[:, 0] > 0).astype(int))
    how: dict[str, Any] = {"shuffle": False, "epochs": 2, "class_weight": {0: 0.5, 1: 2.0}}

    plain.fit(frame, signs, verbose=0, **how)
    fit(ours, frame, signs, workers=2, **how)

    same(plain, ours, frame.to_numpy(), signs.to_numpy())


@pytest.mark.thorough
def test_a_dataset_of_batches(here: None) -> None:
    plain, ours = unbuilt(), unbuilt()
    dataset = tf.data.Dataset.from_tensor_slices((ROWS.astype("float32"), (ROWS[:, 0] > 0).astype(int))).batch(25)

    plain.fit(dataset, epochs=2, verbose=0, validation_data=dataset, shuffle=False)
    fit(ours, dataset, epochs=2, validation_data=dataset, workers=2)

    same(plain, ours, dataset)
    assert raytrain.runs(limit=1)[0].summary().global_batch_size == 25


def of_texts() -> keras.Model:
    keras.utils.set_random_seed(4)
    lookup = keras.layers.StringLookup()
    lookup.adapt(np.array(["a", "b", "c"]))
    texts = keras.Input((), dtype="string")
    model = keras.Model(texts, keras.layers.Dense(1)(keras.layers.Embedding(5, 4)(lookup(texts))))
    model.compile("adam", "mse")
    return model


@pytest.mark.thorough
def test_texts_and_a_layer_that_has_learned_from_them(here: None) -> None:
    plain, ours = of_texts(), of_texts()
    x, y = np.array(["a", "b", "c", "else"] * 10, dtype=object), np.arange(40.0)

    plain.fit(x, y, shuffle=False, epochs=2, verbose=0)
    fit(ours, x, y, shuffle=False, epochs=2, workers=2)

    same(plain, ours, x, y)


@pytest.mark.thorough
def test_by_way_of_an_object_store(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster that is far away: nothing but the store is seen by both sides."""
    plain, ours = of_own_parts(), of_own_parts()
    how: dict[str, Any] = {"shuffle": False, "validation_split": 0.2}

    plain.fit(ROWS, LABELS, verbose=0, **how)
    with s3_server() as server:
        for name, key in KEYS.items():
            monkeypatch.setenv(name, key)
        fit(ours, ROWS, LABELS, workers=2, storage=server.uri("team", "runs"), **how)
        run = raytrain.runs(limit=1)[0]
        assert run.directory == server.uri("team", "runs", run.id)
        assert run.model().name == ours.name

    same(plain, ours, ROWS, LABELS)


class Slow(keras.callbacks.Callback):  # type: ignore[misc]
    steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        time.sleep(0.02)


@pytest.mark.thorough
def test_an_interrupt_stops_the_run_keeps_what_was_trained_and_is_raised(here: None) -> None:
    model, slow = unbuilt(), Slow()
    before = {run.id for run in raytrain.runs()}

    def interrupt() -> None:
        while True:
            started = [run for run in raytrain.runs() if run.id not in before]
            if started and len(started[0].summary().epochs) >= 2:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.5)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        fit(model, ROWS, (ROWS[:, 0] > 0).astype(int), epochs=10_000, callbacks=slow, workers=2)

    assert raytrain.runs(limit=1)[0].summary().reason == "stopped_by_user"
    assert int(model.optimizer.iterations) == slow.steps > 2 * 7
    assert len(model.history.epoch) >= 2


class Mistaken(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise LookupError("a mistake of my own")


@pytest.mark.thorough
def test_a_mistake_in_live_code_is_told_with_its_file_and_line_first(here: None) -> None:
    model = of_own_parts()
    weights = model.get_weights()

    with pytest.raises(raytrain.RunFailed) as failed:
        fit(model, ROWS, LABELS, epochs=2, callbacks=[Mistaken()], workers=2)

    line = Mistaken.on_epoch_end.__code__.co_firstlineno + 1
    assert str(failed.value).startswith(f"{__file__}:{line}, on rank ")
    assert "a mistake of my own" in str(failed.value)
    assert all((now == then).all() for now, then in zip(model.get_weights(), weights, strict=True))


REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "a generator": ({"x": (row for row in ROWS), "y": None}, "generator"),
    "steps_per_epoch": ({"steps_per_epoch": 3}, "steps_per_epoch=3"),
    "validation_steps": ({"validation_steps": 3}, "validation_steps=3"),
    "both weights": ({"class_weight": {0: 1.0}, "sample_weight": ROWS[:, 0]}, "class_weight beside sample_weight"),
    "shuffled batches": ({"shuffle": "batch"}, "shuffle='batch'"),
    "some epochs to validate": ({"validation_freq": [1]}, "validation_freq"),
    "no workers": ({"workers": 0}, "scaling.workers"),
    "no epochs": ({"epochs": 0.5}, "fit.epochs"),
    "a storage that is a file": ({"storage": Path(__file__)}, "a storage that can be written here"),
    "an unknown field": ({"overrides": {"fit.epoch": 1}}, "did you mean `epochs`"),
}


@pytest.mark.parametrize(("how", "words"), REFUSED.values(), ids=REFUSED)
def test_what_no_run_could_honour_is_refused_and_leaves_nothing(
    how: dict[str, Any], words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started: the only cluster here would be one that raytrain starts."""
    monkeypatch.setenv("RAYTRAIN_ADDRESS", "local")
    monkeypatch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("raytrain.cluster.local.local_cluster.start", lambda **_: pytest.fail("a cluster was started"))
    arguments = {"x": ROWS, "y": LABELS, "storage": tmp_path / "runs"} | how

    with pytest.raises((raytrain.UsageError, raytrain.SpecError)) as refused:
        fit(of_own_parts(), **arguments)

    assert words in str(refused.value)
    assert not (tmp_path / "runs").exists() or list((tmp_path / "runs").iterdir()) == []


def test_a_model_is_trained_by_one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_own_parts()

    def run(*_: Any, **__: Any) -> Any:
        with pytest.raises(raytrain.UsageError, match="another call"):
            fit(model, ROWS, LABELS)

    monkeypatch.setattr("raytrain.client.live_job.LiveJob.run", run)
    fit(model, ROWS, LABELS)
    fit(model, ROWS, LABELS)  # the first one has let it go


def test_where_all_epochs_are_done_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.client.live_job.LiveJob.run", lambda *_, **__: pytest.fail("a run was started"))

    assert fit(of_own_parts(), ROWS, LABELS, epochs=2, initial_epoch=2).history == {}
