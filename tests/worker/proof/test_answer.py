"""What a run says of its answer, held against what its training came to beside plain Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raytrain.run import events
from tests.worker.conftest import Pools
from tests.worker.pool import Case, Outcome
from tests.worker.proof.couplings import COUPLED, MODELS

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(129, 4)).astype("float32")
Y = (X @ GENERATOR.normal(size=(4, 1)) > 0).astype("float32")
SPLITS = {"train": (X, Y), "validation": (X[:40], Y[:40])}


def case(model_py: str, answer: str = "warn") -> Case:
    fit = {"epochs": 1, "global_batch_size": 32, "answer": answer}
    return Case(model_py=model_py, spec={"fit": fit}, splits=SPLITS)


@pytest.mark.parametrize("name", MODELS)
def test_it_says_equal_where_the_training_comes_out_equal_and_only_there(
    name: str, pools: Pools, tmp_path: Path
) -> None:
    tried = case(MODELS[name])
    [reference] = pools(0).run(tried, tmp_path / "plain")
    outcome = pools(2).run(tried, tmp_path / "run")[0]
    assert not (outcome.error or reference.error), outcome.error or reference.error
    proven, differs = outcome.of(events.AnswerProven), outcome.of(events.AnswerDiffers)
    assert len(proven) + len(differs) == 1
    assert bool(proven) == is_equal(outcome, reference)
    if name not in COUPLED:
        assert proven
        assert proven[0].largest < 1e-4


def is_equal(outcome: Outcome, reference: Outcome) -> bool:
    pairs = zip(outcome.weights, reference.weights, strict=True)
    weights = max(float(np.abs(one - other).max()) for one, other in pairs)
    [ours], [theirs] = outcome.history, reference.history
    return weights < 1e-4 and ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def test_what_mixes_rows_is_named_and_the_run_goes_on(pools: Pools, tmp_path: Path) -> None:
    outcome = pools(2).run(case(MODELS["layer: sums of segments"]), tmp_path)[0]
    assert outcome.reason == "completed"
    warning = next(event.message for event in outcome.of(events.Warned) if "answer" in event.message)
    assert warning.startswith("2 workers do not give the answer of one: ")
    assert "mixing computes with other rows of the batch" in warning


def test_require_ends_what_does_not_give_the_answer_of_one(pools: Pools, tmp_path: Path) -> None:
    outcomes = pools(2).run(case(MODELS["layer: sums of segments"], "require"), tmp_path)
    assert all("another answer from 2 workers than from one" in outcome.error for outcome in outcomes)


def test_require_takes_no_answer_that_cannot_be_proven(pools: Pools, tmp_path: Path) -> None:
    eager = MODELS["loss: for each row"].replace("metrics=None)", "metrics=None, run_eagerly=True)")
    outcomes = pools(2).run(case(eager, "require"), tmp_path)
    assert all("could not be proven: CannotTry: its steps are run eagerly" in outcome.error for outcome in outcomes)


def test_any_looks_for_nothing(pools: Pools, tmp_path: Path) -> None:
    outcome = pools(2).run(case(MODELS["layer: sums of segments"], "any"), tmp_path)[0]
    assert not outcome.of(events.AnswerProven) + outcome.of(events.AnswerDiffers)


@pytest.mark.parametrize("name", ["layer: keeps the rows' centre", "loss: for each row", "optimizer: holds another"])
def test_nothing_of_the_proof_stays(name: str, pools: Pools, tmp_path: Path) -> None:
    model = MODELS[name]
    proven, unproven = (pools(2).run(case(model, answer), tmp_path / answer)[0] for answer in ("warn", "any"))
    assert proven.of(events.AnswerProven) + proven.of(events.AnswerDiffers)
    assert not unproven.of(events.AnswerProven) + unproven.of(events.AnswerDiffers)
    np.testing.assert_equal(proven.weights, unproven.weights)
    np.testing.assert_equal(proven.history, unproven.history)


def test_what_is_random_is_set_aside_or_told(pools: Pools, tmp_path: Path) -> None:
    noisy = MODELS["loss: for each row"].replace("# here", "x = keras.layers.Dropout(0.5)(x)")
    [proven] = pools(2).run(case(noisy), tmp_path / "keras")[0].of(events.AnswerProven)
    assert proven.set_aside == ["dropout"]
    own = noisy.replace("keras.layers.Dropout(0.5)(x)", "keras.layers.Lambda(lambda x: x + tf.random.normal([4]))(x)")
    outcome = pools(2).run(case(own.replace("Dense(4", "Dense(4")), tmp_path / "own")[0]
    assert not outcome.of(events.AnswerProven)
