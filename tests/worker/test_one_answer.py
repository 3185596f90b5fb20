"""N workers give the answer of one: the same weights, history and test metrics as plain Keras in one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.run.events import EpochEnd
from tests.worker.conftest import Pools
from tests.worker.pool import Case, Outcome

TOLERANCE = 4e-5  # TensorFlow's own for float32

MLP = """
import keras
def build_model(optimizer="adam", **kwargs):
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(16, activation="relu", kernel_regularizer="l2"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(
        optimizer=keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.01, **kwargs}}),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(name="auc"), keras.metrics.Precision(name="precision")],
        weighted_metrics=["mse"],
    )
    return model
"""


def rows(count: int, seed: int = 1) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, 6)).astype(np.float32)
    return features, (features[:, :2].sum(axis=1) > 0).astype(np.float32)


def case(train: int = 77, batch: int = 16, epochs: int = 2, model: str = MLP, **spec: Any) -> Case:
    fit = {"epochs": epochs, "global_batch_size": batch, **spec.pop("fit", {})}
    splits = {"train": rows(train), "validation": rows(19, 2), "test": rows(23, 3)}
    return Case(model_py=model, spec={"fit": fit, **spec}, splits=splits)


_references: dict[int, Outcome] = {}


def plain_keras(tried: Case, pools: Pools) -> Outcome:
    """The reference of a case, trained once however many worker counts are held against it."""
    if id(tried) not in _references:
        [_references[id(tried)]] = pools(0).run(tried, Path())
    return _references[id(tried)]


def assert_same(subject: Outcome, reference: Outcome, tolerance: float = TOLERANCE) -> None:
    assert not subject.error, subject.error
    assert not reference.error, reference.error
    for ours, theirs in zip(subject.weights, reference.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=0)
    for ours, theirs in zip(subject.history, reference.history, strict=True):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, abs=tolerance), name
    assert subject.test == pytest.approx(reference.test, abs=tolerance)


@pytest.mark.parametrize("workers", [2, 1, 3])
@pytest.mark.parametrize(
    "tried",
    [
        pytest.param(case(), id="partial last batch"),
        pytest.param(case(train=65), id="a last batch of one row"),
        pytest.param(case(train=3, batch=64), id="batch above the rows"),
        pytest.param(case(train=64), id="even batches"),
        pytest.param(case(model_args={"optimizer": "sgd", "clipnorm": 0.1}), id="clipnorm"),
        pytest.param(case(fit={"class_weight": {0: 1.0, 1: 3.0}}), id="class weights"),
        pytest.param(
            case(data={"train": {"inline": {"x": [0.0]}}, "features": "x", "shuffle": False}), id="no shuffle"
        ),
    ],
)
def test_weights_history_and_test_are_those_of_plain_keras(
    tried: Case, workers: int, pools: Pools, tmp_path: Path
) -> None:
    reference = plain_keras(tried, pools)
    subjects = pools(workers).run(tried, tmp_path / "run")
    assert_same(subjects[0], reference)
    assert {outcome.reason for outcome in subjects} == {"completed"}
    assert all(outcome.history == subjects[0].history for outcome in subjects)


def test_one_worker_is_plain_keras_to_the_bit(pools: Pools, tmp_path: Path) -> None:
    dropout = MLP.replace("keras.layers.Dense(1,", "keras.layers.Dropout(0.3), keras.layers.Dense(1,")
    tried = case(model=dropout)
    [reference] = pools(0).run(tried, tmp_path)
    [subject] = pools(1).run(tried, tmp_path / "run")
    assert_same(subject, reference, tolerance=0)


def test_a_run_repeats_to_the_bit(pools: Pools, tmp_path: Path) -> None:
    dropout = MLP.replace("keras.layers.Dense(1,", "keras.layers.Dropout(0.3), keras.layers.Dense(1,")
    first, again = (pools(2).run(case(model=dropout), tmp_path / name)[0] for name in ("first", "again"))
    assert_same(first, again, tolerance=0)


def test_dropout_differs_between_the_workers_of_a_step(pools: Pools, tmp_path: Path) -> None:
    mask_sum = """
import keras
@keras.saving.register_keras_serializable()
class Witness(keras.layers.Layer):
    def build(self, shape):
        self.first = self.add_weight(name="first", shape=(64,), trainable=False)
    def call(self, x, training=False):
        if training:
            self.first.assign(x[0])
        return x
def build_model():
    model = keras.Sequential([
        keras.Input((6,)), keras.layers.Dense(64, kernel_initializer="zeros", bias_initializer="ones"),
        keras.layers.Dropout(0.5), Witness(), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    return model
"""
    [outcome, _] = pools(2).run(case(model=mask_sum, train=16, epochs=1), tmp_path)
    assert not outcome.error, outcome.error
    mask = next(weight for weight in outcome.weights if weight.shape == (64,) and not np.all(weight == 1))
    # Each rank's row is 0 or 2 after Dropout; the workers' mean holds a 1 only where the ranks' masks differ.
    assert set(np.unique(mask)) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("workers", [2, 3])
def test_rows_of_the_sharded_tier_in_the_sources_order_give_the_same_to_the_bit(
    workers: int, pools: Pools, tmp_path: Path
) -> None:
    data = {"train": {"inline": {"x": [0.0]}}, "validation": 0.5, "features": "x", "shuffle": False}
    tried = case(fit={"class_weight": {0: 1.0, 1: 3.0}}, data=data)
    shared = pools(workers).run(tried, tmp_path / "shared")[0]
    sharded = pools(workers).run(replace(tried, cached=True), tmp_path / "sharded")[0]
    assert_same(sharded, shared, tolerance=0)


@pytest.mark.parametrize("workers", [2, 3])
def test_rows_of_the_sharded_tier_are_all_trained_on_every_epoch(workers: int, pools: Pools, tmp_path: Path) -> None:
    tried = replace(case(epochs=3, train=80), cached=True)
    outcomes = pools(workers).run(tried, tmp_path / "one")
    again = pools(workers).run(tried, tmp_path / "two")[0]
    ends = [end for outcome in outcomes for end in outcome.of(EpochEnd)]
    assert [round(np.dot(end.rank_rows_per_s, end.rank_seconds)) for end in ends] == [80, 80, 80]
    assert outcomes[0].history[-1]["loss"] < outcomes[0].history[0]["loss"]
    assert_same(again, outcomes[0], tolerance=0)
