"""What a run says of its answer, held against what its training came to beside plain Keras.

`make conformance` tries each kind of code in each place; `make test-all` each kind and each place once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raytrain.run import events
from tests.worker.conftest import Pools
from tests.worker.pool import Case, Outcome
from tests.worker.proof.couplings import COUPLED, UNCOUPLED

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(129, 4)).astype("float32")
Y = (X @ GENERATOR.normal(size=(4, 1)) > 0).astype("float32")
SPLITS = {"train": (X, Y), "validation": (X[:40], Y[:40])}


def case(model_py: str, answer: str = "warn") -> Case:
    fit = {"epochs": 1, "global_batch_size": 32, "answer": answer}
    return Case(model_py=model_py, spec={"fit": fit}, splits=SPLITS)


def some(names: Sequence[str]) -> list[str]:
    """Of names such as `loss: norm`, each place and each kind at least once, or all of them."""
    places = list(dict.fromkeys(name.partition(": ")[0] for name in names))
    kinds = list(dict.fromkeys(name.partition(": ")[2] for name in names))
    turns = {name: (places.index(name.partition(": ")[0]), kinds.index(name.partition(": ")[2])) for name in names}
    single = {kind for _, kind in turns.values() if sum(kind == other for _, other in turns.values()) == 1}
    picked = [name for name, (place, kind) in turns.items() if kind in single or kind % len(places) == place]
    return list(names) if "CONFORMANCE_WORKERS" in os.environ else picked


@pytest.mark.parametrize("name", some(list(COUPLED)))
def test_rows_that_lean_on_each_other_come_out_equal_or_are_told(name: str, pools: Pools, tmp_path: Path) -> None:
    outcome, reference = trained(COUPLED[name], pools, tmp_path)
    proven, differs = outcome.of(events.AnswerProven), outcome.of(events.AnswerDiffers)
    assert len(proven) + len(differs) == 1
    assert bool(proven) == is_equal(outcome, reference)


@pytest.mark.parametrize("name", some(list(UNCOUPLED)))
def test_rows_that_do_not_are_proven_equal_as_they_are(name: str, pools: Pools, tmp_path: Path) -> None:
    outcome, reference = trained(UNCOUPLED[name], pools, tmp_path)
    [proven] = outcome.of(events.AnswerProven)
    assert proven.largest < 1e-4
    assert not proven.over_all_rows
    assert is_equal(outcome, reference)


def trained(model_py: str, pools: Pools, tmp_path: Path, answer: str = "warn") -> tuple[Outcome, Outcome]:
    """What two workers come to, and plain Keras."""
    tried = case(model_py, answer)
    [reference] = pools(0).run(tried, tmp_path / "plain")
    outcome = pools(2).run(tried, tmp_path / "run")[0]
    assert not (outcome.error or reference.error), outcome.error or reference.error
    return outcome, reference


def is_equal(outcome: Outcome, reference: Outcome) -> bool:
    pairs = zip(outcome.weights, reference.weights, strict=True)
    weights = max(float(np.abs(one - other).max()) for one, other in pairs)
    [ours], [theirs] = outcome.history, reference.history
    return weights < 1e-4 and ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)


def test_a_layer_that_is_seen_to_mix_rows_is_handed_all_of_them(pools: Pools, tmp_path: Path) -> None:
    outcome, reference = trained(COUPLED["layer: segments"], pools, tmp_path)
    [proven], [warning] = outcome.of(events.AnswerProven), outcome.of(events.Warned)
    assert proven.over_all_rows == ["layer own_layer"]
    assert warning.message.startswith("layer own_layer is computed from all workers' rows, which sends 512 B a step")
    assert is_equal(outcome, reference)


@pytest.mark.parametrize("name", ["layer: segments", "step: pairs"])
def test_what_a_run_has_proven_before_is_not_proven_again(name: str, pools: Pools, tmp_path: Path) -> None:
    """The second is one where the whole step is computed over all rows."""
    tried = case(COUPLED[name], "require")
    first = pools(2).run(tried, tmp_path / "first")[0]
    [proven] = first.of(events.AnswerProven)
    assert proven.over_all_rows
    again = pools(2).run(replace(tried, proven=proven), tmp_path / "again")[0]
    assert not again.of(events.AnswerProven) + again.of(events.Warned)
    np.testing.assert_equal(again.weights, first.weights)
    for other in (
        replace(tried, proven=replace(proven, holds_for="")),
        replace(tried, model_py=tried.model_py + "# changed\n"),
        replace(tried, proven=replace(proven, workers=3)),
    ):
        of_other = replace(other, proven=other.proven or proven)
        assert pools(2).run(of_other, tmp_path / "other")[0].of(events.AnswerProven)


TESTED = """
    def test_step(self, data):
        x, y = data
        return {"pairs": of(self(x, training=False))}


def build_model"""


def test_a_test_step_is_proven_without_validation_rows_too(pools: Pools, tmp_path: Path) -> None:
    model_py = COUPLED["step: pairs"].replace("\n\ndef build_model", TESTED, 1).replace(" * of(y_pred)", "")
    only_tested = {"train": SPLITS["train"], "test": SPLITS["validation"]}
    [differs] = pools(2).run(replace(case(model_py), splits=only_tested), tmp_path)[0].of(events.AnswerDiffers)
    assert differs.what == ["result pairs"]


def test_a_step_that_mixes_rows_is_named_and_the_run_goes_on(pools: Pools, tmp_path: Path) -> None:
    outcome, _ = trained(COUPLED["step: pairs"], pools, tmp_path)
    assert outcome.reason == "completed"
    [warning] = outcome.of(events.Warned)
    assert warning.message.startswith("2 workers do not give the answer of one: gradient dense")
    assert "fit.answer=require" in warning.message


@pytest.mark.parametrize("name", ["step: pairs", "step: loop"])
def test_require_computes_a_step_whole_where_nothing_less_will_do(name: str, pools: Pools, tmp_path: Path) -> None:
    outcome, reference = trained(COUPLED[name], pools, tmp_path, "require")
    [proven], [warning] = outcome.of(events.AnswerProven), outcome.of(events.Warned)
    assert proven.over_all_rows == ["the whole step"]
    assert "no faster than one worker" in warning.message
    assert is_equal(outcome, reference)


MIXING = """\
@register
class Mixing(keras.layers.Layer):
    def call(self, v):
        return v / (1 + ops.sum(ops.abs(v), axis=0))

def build_model"""


def test_a_whole_step_hands_a_layer_that_mixes_rows_each_of_them_once(pools: Pools, tmp_path: Path) -> None:
    model_py = COUPLED["step: pairs"].replace("# here", "x = Mixing()(x)").replace("def build_model", MIXING)
    outcome, reference = trained(model_py, pools, tmp_path, "require")
    assert outcome.of(events.AnswerProven)[0].over_all_rows == ["the whole step"]
    assert is_equal(outcome, reference)


def test_require_ends_what_does_not_give_the_answer_of_one(pools: Pools, tmp_path: Path) -> None:
    """Rows of texts cannot be sent."""
    of_texts = COUPLED["step: pairs"].replace("keras.Input((4,))", 'keras.Input((4,), dtype="string")')
    numbers = "keras.layers.Lambda(tf.strings.to_number, output_shape=(4,))(inputs)"
    of_texts = of_texts.replace('"tanh")(inputs)', f'"tanh")({numbers})')
    texts = {name: (x.astype(str).astype(object), y) for name, (x, y) in SPLITS.items()}
    outcomes = pools(2).run(replace(case(of_texts, "require"), splits=texts), tmp_path)
    assert all("another answer from 2 workers than from one" in each.error for each in outcomes), outcomes[0].error


def test_require_takes_no_answer_that_cannot_be_proven(pools: Pools, tmp_path: Path) -> None:
    eager = UNCOUPLED["loss: norm"].replace("metrics=None)", "metrics=None, run_eagerly=True)")
    outcomes = pools(2).run(case(eager, "require"), tmp_path)
    assert all("could not be proven: CannotTry: its steps are run eagerly" in outcome.error for outcome in outcomes)


def test_any_looks_for_nothing(pools: Pools, tmp_path: Path) -> None:
    outcome = pools(2).run(case(COUPLED["layer: segments"], "any"), tmp_path)[0]
    assert not outcome.of(events.AnswerProven) + outcome.of(events.AnswerDiffers)


def test_statistics_that_agree_after_an_epoch_are_no_difference(pools: Pools, tmp_path: Path) -> None:
    """Of batches that the workers divide evenly; of others they do not quite."""
    even = replace(case(COUPLED["layer: keeps a mean for later"]), splits=SPLITS | {"train": (X[:128], Y[:128])})
    assert pools(2).run(even, tmp_path)[0].of(events.AnswerProven)


@pytest.mark.parametrize("name", ["layer: keeps a mean for later", "loss: norm", "optimizer: holds another"])
def test_nothing_of_the_proof_stays(name: str, pools: Pools, tmp_path: Path) -> None:
    model = (COUPLED | UNCOUPLED)[name]
    proven, unproven = (pools(2).run(case(model, answer), tmp_path / answer)[0] for answer in ("warn", "any"))
    assert proven.of(events.AnswerProven) + proven.of(events.AnswerDiffers)
    assert not unproven.of(events.AnswerProven) + unproven.of(events.AnswerDiffers)
    np.testing.assert_equal(proven.weights, unproven.weights)
    np.testing.assert_equal(proven.history, unproven.history)


def test_what_is_random_is_set_aside_or_told(pools: Pools, tmp_path: Path) -> None:
    noisy = UNCOUPLED["loss: norm"].replace("# here", "x = keras.layers.Dropout(0.5)(x)")
    [proven] = pools(2).run(case(noisy), tmp_path / "keras")[0].of(events.AnswerProven)
    assert proven.set_aside == ["dropout"]
    own = noisy.replace("keras.layers.Dropout(0.5)(x)", "keras.layers.Lambda(lambda x: x + tf.random.normal([4]))(x)")
    outcome = pools(2).run(case(own.replace("Dense(4", "Dense(4")), tmp_path / "own")[0]
    assert not outcome.of(events.AnswerProven)
