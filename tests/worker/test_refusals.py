"""What has no answer of one is refused on every rank, before training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.conftest import Pools
from tests.worker.test_one_answer import case

COMPILED = "    model.compile(optimizer='sgd', loss='mse')\n    return model\n"
STATEFUL = (
    "import keras\ndef build_model():\n    model = keras.Sequential([keras.Input((6,), batch_size=8),"
    " keras.layers.Reshape((6, 1)), keras.layers.LSTM(2, stateful=True), keras.layers.Dense(1)])\n" + COMPILED
)
AT_IMPORT = (
    "import keras\nmodel = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])\n"
    "def build_model():\n" + COMPILED
)
UNCOMPILED = (
    "import keras\ndef build_model():\n    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])\n"
)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(STATEFUL, ["stateful layer `lstm`", "leave stateful=True out"], id="stateful RNN"),
        pytest.param(AT_IMPORT, ["made while its file was imported"], id="model built outside the scope"),
        pytest.param(UNCOMPILED, ["not compiled", "compile"], id="model that nobody compiles"),
    ],
)
def test_refused_on_every_rank(model: str, said: list[str], pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(case(model=model), tmp_path)
    for outcome in outcomes:
        assert [words for words in said if words not in outcome.error] == [], outcome.error
        assert not outcome.sent or all(type(message).__name__ == "PhaseDone" for message in outcome.sent)
