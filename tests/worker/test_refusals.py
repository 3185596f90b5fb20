"""What has no answer of one is refused on every rank, before training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.conftest import Pools
from tests.worker.test_one_answer import case

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


def test_a_model_made_while_its_file_is_imported_is_made_under_the_strategy_too(pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(case(model=AT_IMPORT + COMPILED + RETURNED), tmp_path)
    assert not any(outcome.error for outcome in outcomes), outcomes[0].error
    assert len(outcomes[0].history) == 2
