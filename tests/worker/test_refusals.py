"""What has no answer of one is refused on every rank, before training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.run import events
from tests.conformance.loading_cases import HOOKS, two_phases
from tests.worker.conftest import Pools
from tests.worker.pool import Case
from tests.worker.test_one_answer import assert_same, case

COMPILED = "    model.compile(optimizer='sgd', loss='mse')\n"
RETURNED = "    return model\n"
STATEFUL = (
    "import keras\ndef build_model():\n    model = keras.Sequential([keras.Input((6,), batch_size=8),"
    " keras.layers.Reshape((6, 1)), keras.layers.LSTM(2, stateful=True), keras.layers.Dense(1)])\n"
)
NESTED = (
    "import keras\nimport tensorflow as tf\nclass Own(keras.Sequential):\n"
    "    @tf.function\n    def loss_of(self, y, p):\n        return self.compute_loss(y=y, y_pred=p)\n"
    "    def train_step(self, data):\n        with tf.GradientTape() as tape:\n"
    "            loss = self.loss_of(data[1], self(data[0]))\n"
    "        weights = self.trainable_weights\n        self.optimizer.apply(tape.gradient(loss, weights), weights)\n"
    "        return {'loss': loss}\n"
    "def build_model():\n    model = Own([keras.Input((6,)), keras.layers.Dense(1)])\n"
    "    model.compile(optimizer='sgd', loss=keras.losses.Dice(), run_eagerly=True)\n"
)
AT_IMPORT = (
    "import keras\nmodel = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])\n"
    "def build_model():\n    print(model.name)\n"
)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(
            STATEFUL + COMPILED + RETURNED, ["stateful layer `lstm`", "leave stateful=True out"], id="stateful RNN"
        ),
        pytest.param(
            NESTED + RETURNED,
            ["the loss dice, which is of a whole batch", "leave out run_eagerly"],
            id="gradients that TensorFlow would leave out",
        ),
        pytest.param(AT_IMPORT + RETURNED, ["not compiled", "compile"], id="model that nobody compiles"),
    ],
)
def test_refused_on_every_rank(model: str, said: list[str], pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(case(model=model), tmp_path)
    for outcome in outcomes:
        assert [words for words in said if words not in outcome.error] == [], outcome.error


def hook(compilation: str) -> Case:
    text = "\n    def on_epoch_begin(self, epoch, logs=None):\n        if epoch == 1:\n            "
    return two_phases(text + f"self.model.compile({compilation})" + "; self.model.train_function or AFTER\n")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        pytest.param("None", ["compiled while it was trained", "make_train_function(force=True)"], id="no function"),
        pytest.param(
            "self.model.make_train_function()",
            ["steps_per_execution=4 while it was trained", "compile with steps_per_execution=1"],
            id="another number of steps a call",
        ),
        pytest.param("(_ for _ in ()).throw(TypeError('mine'))", ["TypeError: mine"], id="an error of the user's"),
    ],
)
def test_a_compilation_within_training_that_plain_keras_does_not_go_on_from(
    after: str, said: list[str], pools: Pools, tmp_path: Path
) -> None:
    tried = hook("optimizer='sgd', loss='mse', steps_per_execution=4")
    outcomes = pools(2).run(replace(tried, model_py=tried.model_py.replace("AFTER", after)), tmp_path)
    for outcome in outcomes:
        assert [words for words in said if words not in outcome.error] == [], outcome.error


def test_layers_that_are_unfrozen_later_take_the_whole_batch_too(pools: Pools, tmp_path: Path) -> None:
    tried = two_phases(HOOKS["as an epoch begins"])
    normalised = 'keras.layers.BatchNormalization(), keras.layers.Dense(8, activation="tanh")\n    ], name'
    text = tried.model_py.replace('keras.layers.Dense(8, activation="tanh")\n    ], name', normalised)
    assert text != tried.model_py
    tried = replace(tried, model_py=text)
    [reference] = pools(0).run(tried, tmp_path)
    fit = tried.spec["fit"] | {"sync_batch_norm": True}
    outcomes = pools(2).run(replace(tried, spec=tried.spec | {"fit": fit}), tmp_path / "run")
    assert not outcomes[0].error, outcomes[0].error
    assert_same(outcomes[0], reference)
    told = pools(2).run(tried, tmp_path / "plain")[0].of(events.Warned)
    assert sum("BatchNormalization" in warned.message for warned in told) == 1


def test_a_model_made_while_its_file_is_imported_is_made_under_the_strategy_too(pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(case(model=AT_IMPORT + COMPILED + RETURNED), tmp_path)
    assert not any(outcome.error for outcome in outcomes), outcomes[0].error
    assert len(outcomes[0].history) == 2
