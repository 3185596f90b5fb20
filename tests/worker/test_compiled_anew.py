"""What becomes of a model that a callback compiles in the middle of training, beside its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raytrain.run import events
from tests.conformance.cases import ROWS
from tests.conformance.loading_cases import TWO_PHASES
from tests.worker.conftest import Pools
from tests.worker.pool import Case
from tests.worker.test_one_answer import assert_same

UNFREEZE = ROWS["recompile: as an epoch begins"].case


def hook(compilation: str) -> Case:
    text = "\n    def on_epoch_begin(self, epoch, logs=None):\n        if epoch == 1:\n            "
    text += f"self.model.compile({compilation}); self.model.train_function or AFTER\n"
    return replace(UNFREEZE, model_py=TWO_PHASES.replace("HOOK", text))


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
    normalised = 'keras.layers.BatchNormalization(), keras.layers.Dense(8, activation="tanh")\n    ], name'
    text = UNFREEZE.model_py.replace('keras.layers.Dense(8, activation="tanh")\n    ], name', normalised)
    assert text != UNFREEZE.model_py
    tried = replace(UNFREEZE, model_py=text)
    [reference] = pools(0).run(tried, tmp_path)
    fit = tried.spec["fit"] | {"sync_batch_norm": True}
    outcomes = pools(2).run(replace(tried, spec=tried.spec | {"fit": fit}), tmp_path / "run")
    assert not outcomes[0].error, outcomes[0].error
    assert_same(outcomes[0], reference)
    told = pools(2).run(tried, tmp_path / "plain")[0].of(events.Warned)
    assert sum("BatchNormalization" in warned.message for warned in told) == 1
