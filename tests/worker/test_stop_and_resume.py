"""Training that ends early, and training that is cut and goes on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raytrain import protocol
from raytrain.run import events
from raytrain.worker.checkpoints.checkpoint import read
from tests.conformance.cases import MODELS, make
from tests.conformance.loading_cases import HOOKS, two_phases
from tests.worker.conftest import Pools
from tests.worker.pool import Case
from tests.worker.test_one_answer import MLP, assert_same, case

STATEFUL = MLP.replace(
    "keras.layers.Dense(1,", "keras.layers.BatchNormalization(), keras.layers.Dropout(0.3), keras.layers.Dense(1,"
)


def test_early_stopping_stops_all_ranks_after_the_same_epoch_and_restores_the_best(
    pools: Pools, tmp_path: Path
) -> None:
    rule = {"monitor": "val_loss", "patience": 2, "restore_best": True}
    tried = case(epochs=60, early_stopping=rule, model_args={"optimizer": "adam"}, train=24, batch=8)
    tried = replace(tried, model_py=MLP.replace('"learning_rate": 0.01', '"learning_rate": 0.3'))
    outcomes = pools(2).run(tried, tmp_path)
    assert not outcomes[0].error, outcomes[0].error
    losses = [epoch["val_loss"] for epoch in outcomes[0].history]
    best = int(np.argmin(losses))
    assert {outcome.reason for outcome in outcomes} == {"early_stopped"}
    assert [len(outcome.history) for outcome in outcomes] == [best + 3] * 2
    [stop] = outcomes[0].of(events.TrainingEnded)
    assert stop.best == events.Best(epoch=best, monitor="val_loss", value=losses[best])
    until_best = replace(tried, spec=tried.spec | {"fit": tried.spec["fit"] | {"epochs": best + 1}})
    [at_best, _] = pools(2).run(until_best, tmp_path / "until-best")
    for ours, theirs in zip(outcomes[0].weights, at_best.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_no_number_ends_as_diverged_and_is_not_checkpointed(pools: Pools, tmp_path: Path) -> None:
    tried = case(epochs=5)
    features, labels = tried.splits["train"]
    spoilt = features.copy()
    spoilt[5, 0] = np.nan
    tried = replace(tried, splits=tried.splits | {"train": (spoilt, labels)})
    outcomes = pools(2).run(tried, tmp_path)
    assert [outcome.reason for outcome in outcomes] == ["diverged", "diverged"], outcomes[0].error
    assert len(outcomes[0].history) <= 2  # a relu may hide the NaN from the first epoch's loss, not from its weights
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "model.keras").exists()


def test_gradients_that_are_no_numbers_are_not_checkpointed_while_they_are_summed_up(
    pools: Pools, tmp_path: Path
) -> None:
    """The gradient of the root of 0 in the second of four steps; the weights are changed after the fourth."""
    rooted = MLP.replace(
        'keras.layers.Dense(1, activation="sigmoid"),',
        'Root(), keras.layers.Dense(1, activation="sigmoid"),',
    ).replace('activation="relu", ', "use_bias=False, ")
    rooted += """
@keras.saving.register_keras_serializable("case")
class Root(keras.layers.Layer):
    def call(self, x):
        return keras.ops.sqrt(keras.ops.abs(x))
"""
    data = {"train": {"inline": {"x": [0.0]}}, "features": "x", "shuffle": False}
    saving = {"every_steps": 1, "keep": 50}
    tried = case(train=64, epochs=1, model=rooted, data=data, checkpoint=saving, model_args={"optimizer": "sgd"})
    tried = replace(tried, spec=tried.spec | {"model_args": {"optimizer": "sgd", "gradient_accumulation_steps": 4}})
    features = tried.splits["train"][0].copy()
    features[20] = 0.0
    outcomes = pools(2).run(replace(tried, splits={"train": (features, tried.splits["train"][1])}), tmp_path)
    assert outcomes[0].reason == "diverged", outcomes[0].error or outcomes[0].history
    saved = list((tmp_path / "checkpoints").iterdir())
    assert saved
    for path in saved:
        assert all(np.isfinite(array).all() for array in read(path).variables), path.name


def test_a_callback_that_stops_one_rank_stops_all(pools: Pools, tmp_path: Path) -> None:
    stopper = """
import os, json
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
        if rank == 1 and epoch == 1:
            self.model.stop_training = True
def callbacks():
    return [Stop()]
"""
    tried = case(epochs=5, model=MLP + stopper, callbacks="model.py:callbacks")
    outcomes = pools(2).run(tried, tmp_path)
    assert [outcome.reason for outcome in outcomes] == ["stopped_by_callback"] * 2, outcomes[0].error
    assert [len(outcome.history) for outcome in outcomes] == [2, 2]


PLATEAU = [{"ReduceLROnPlateau": {"monitor": "loss", "patience": 0, "min_delta": 1.0, "factor": 0.5}}]
KEEPS_BEST = [{"EarlyStopping": {"monitor": "val_loss", "patience": 9, "restore_best_weights": True}}]
WORSENING = MLP.replace('"learning_rate": 0.01', '"learning_rate": 0.3')
CHECKPOINT = {"keep": 5}
EAGER_GAN = MODELS["two optimizers (GAN)"].model_py.replace("model.compile()", "model.compile(run_eagerly=True)")

HOLDING = (
    MODELS["a critic that is compiled with an optimizer of its own"]
    .model_py.replace("self.tracker =", "self.pace = tf.Variable(1.0)\n        self.tracker =")
    .replace("lambda: tf.reduce_mean(tf.nn", "lambda: self.pace.assign_add(0.1) * tf.reduce_mean(tf.nn")
    + """
import collections
import numpy as np
class Wander(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen, self.random = collections.deque(maxlen=3), np.random.default_rng(0)
    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(abs(logs["loss"]))
        self.model.optimizer.learning_rate = 0.01 * (1 + sum(self.seen) + self.random.random())
def callbacks():
    return [Wander()]
"""
)


@pytest.mark.parametrize("workers", [2, 1])
@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(case(epochs=5, model=STATEFUL, callbacks=PLATEAU, checkpoint=CHECKPOINT), id="plateau"),
        pytest.param(case(epochs=5, model=STATEFUL, train=65, checkpoint=CHECKPOINT), id="a worker without rows"),
        pytest.param(
            case(epochs=5, model=WORSENING, train=24, batch=8, callbacks=KEEPS_BEST, checkpoint=CHECKPOINT),
            id="a callback that keeps weights",
        ),
        pytest.param(
            make(MODELS["two optimizers (GAN)"].model_py, "unlabelled", epochs=5, checkpoint=CHECKPOINT),
            id="two optimizers",
        ),
        pytest.param(
            make(EAGER_GAN, "unlabelled", epochs=5, checkpoint=CHECKPOINT),
            id="two optimizers, eagerly",
        ),
        pytest.param(
            make(HOLDING, "binary", epochs=5, callbacks="model.py:callbacks", checkpoint=CHECKPOINT),
            id="an inner model's optimizer, a variable of TensorFlow's, a callback's deque and random numbers",
        ),
        *(
            pytest.param(two_phases(HOOKS[hook], epochs=5, checkpoint=CHECKPOINT), id=f"compiled anew, {hook}")
            for hook in (
                "as an epoch begins",
                "as an epoch ends",
                "as training begins",
                "a base unfrozen and nothing compiled",
                "an optimizer that the callback holds",
                "an optimizer without a compilation",
                "steps as plain Python from then on",
            )
        ),
    ],
)
def test_a_run_that_goes_on_from_a_checkpoint_ends_as_if_never_cut(
    whole: Case, workers: int, pools: Pools, tmp_path: Path
) -> None:
    undisturbed = pools(workers).run(whole, tmp_path / "whole")[0]
    assert not undisturbed.error, undisturbed.error
    for epoch in range(4):
        root = tmp_path / f"cut-{epoch}"
        _cut_after(tmp_path / "whole", root, epoch)
        resumed = pools(workers).run(whole, root)[0]
        assert not resumed.error, resumed.error
        [restored] = resumed.of(protocol.GoesOn)
        assert restored.reports == undisturbed.of(events.EpochEnd)[: epoch + 1]
        assert [len(report.rank_seconds) for report in restored.reports] == [workers] * (epoch + 1)
        resumed.history = undisturbed.history[: epoch + 1] + resumed.history
        assert_same(resumed, undisturbed, tolerance=0)


def test_what_is_compiled_later_knows_which_layers_were_unfrozen_before_the_cut(pools: Pools, tmp_path: Path) -> None:
    hook = """
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.model.get_layer("base").layers[0].trainable = True
        if epoch == 3:
            self.model.compile(optimizer=keras.optimizers.Adam(0.002), loss=LOSS, metrics=["mse"])
            self.model.make_train_function(force=True)
"""
    whole = two_phases(hook, epochs=5, checkpoint=CHECKPOINT)
    undisturbed = pools(2).run(whole, tmp_path / "whole")[0]
    _cut_after(tmp_path / "whole", tmp_path / "cut", 2)
    resumed = pools(2).run(whole, tmp_path / "cut")[0]
    assert not resumed.error, resumed.error
    resumed.history = undisturbed.history[:3] + resumed.history
    assert_same(resumed, undisturbed, tolerance=0)


def test_what_cannot_be_compiled_again_is_refused_in_words(pools: Pools, tmp_path: Path) -> None:
    whole = two_phases(HOOKS["another loss, a schedule and averaged weights"], epochs=4, checkpoint=CHECKPOINT)
    undisturbed = pools(1).run(whole, tmp_path / "whole")[0]
    assert not undisturbed.error, undisturbed.error
    for epoch, refused in ((0, False), (2, True)):
        _cut_after(tmp_path / "whole", tmp_path / f"cut-{epoch}", epoch)
        [resumed] = pools(1).run(whole, tmp_path / f"cut-{epoch}")
        assert ("a checkpoint of a model that a callback had compiled anew" in resumed.error) is refused


def test_a_torn_checkpoint_is_passed_over(pools: Pools, tmp_path: Path) -> None:
    whole = case(epochs=3, model=STATEFUL, checkpoint={"keep": 5})
    undisturbed = pools(1).run(whole, tmp_path / "whole")[0]
    _cut_after(tmp_path / "whole", tmp_path / "torn", 1)
    newest = tmp_path / "torn/checkpoints/epoch-000001/variables.npz"
    newest.write_bytes(newest.read_bytes()[:100])
    resumed = pools(1).run(whole, tmp_path / "torn")[0]
    [broken] = resumed.of(events.CheckpointSkipped)
    assert "variables.npz" in broken.why
    [restored] = resumed.of(protocol.GoesOn)
    assert restored.restored.epoch == 0
    resumed.history = undisturbed.history[:1] + resumed.history
    assert_same(resumed, undisturbed, tolerance=0)


def test_a_stopped_run_that_comes_back_does_not_train_on(pools: Pools, tmp_path: Path) -> None:
    rule = {"monitor": "loss", "patience": 50, "target": 100.0}
    tried: Case = case(epochs=4, early_stopping=rule)
    first = pools(2).run(tried, tmp_path)[0]
    (tmp_path / "model.keras").unlink()
    again = pools(2).run(tried, tmp_path)[0]
    assert (first.reason, again.reason) == ("target_reached", "target_reached"), again.error
    assert (len(first.history), len(again.history)) == (1, 0)
    for ours, theirs in zip(again.weights, first.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _cut_after(whole: Path, root: Path, epoch: int) -> None:
    """The run directory as a kill right after `epoch` would have left it."""
    for saved in sorted((whole / "checkpoints").iterdir())[: epoch + 1]:
        shutil.copytree(saved, root / "checkpoints" / saved.name)
