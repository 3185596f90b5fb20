"""What is called equal, different, noise, or not repeatable, of trainings made up here."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from raytrain.check_protocol import Comparison, Quantity, Verdict
from raytrain.worker.check.differences import comparison
from raytrain.worker.check.trained import Trained, digest, numbers_of

KERNEL = np.linspace(-1, 1, 6)
BIAS = np.array([1e-8, -2e-8])  # of a gradient: nothing beside the kernel's


def trained(**changed: Any) -> Trained:
    """Two steps of a kernel, a bias whose gradient is rounding, and a moving mean."""
    made = Trained(
        gradients={"kernel": [digest(KERNEL), digest(KERNEL / 2)], "bias": [digest(BIAS), digest(BIAS)]},
        before={"kernel": digest(KERNEL), "bias": digest(np.zeros(2)), "mean": digest(np.zeros(2))},
        after={"kernel": digest(KERNEL + 0.1), "bias": digest(np.array([0.1, -0.1])), "mean": digest(np.ones(2))},
        results={"loss": np.asarray(0.5), "val_loss": np.asarray(0.6)},
        steps=2,
        rows={"train": 64},
        allowed=2e-4,
    )
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def verdicts(found: Comparison) -> dict[tuple[str, str], Verdict]:
    return {(each.kind, each.name): each.verdict for each in found.quantities}


def test_what_agrees_is_equal() -> None:
    found = comparison(trained(), trained())
    assert found.verdict is Verdict.EQUAL
    assert found.largest == 0.0
    assert set(verdicts(found)) == {
        ("gradient", "kernel"),
        ("gradient", "bias"),
        ("variable", "mean"),
        ("result", "loss"),
        ("result", "val_loss"),
    }


@pytest.mark.parametrize(
    ("step", "factor", "verdict"), [(0, 1.001, "differs"), (1, 1.001, "equal"), (1, 1.01, "differs")]
)
def test_the_first_step_has_to_agree_better_than_those_that_follow(step: int, factor: float, verdict: str) -> None:
    many = trained()
    many.gradients["kernel"][step] = many.gradients["kernel"][step] * factor
    found = comparison(trained(), many)
    assert verdicts(found)["gradient", "kernel"] == verdict
    assert found.quantities[0].difference == pytest.approx(factor - 1, rel=1e-3)


def test_a_result_that_only_one_has_differs_and_has_no_number() -> None:
    found = comparison(trained(), trained(results={"loss": np.asarray(0.5)}))
    assert found.quantities[0] == Quantity(kind="result", name="val_loss", difference=None, verdict=Verdict.DIFFERS)
    assert found.largest is None


def test_a_weight_that_drifts_by_a_gradient_of_rounding_is_noise() -> None:
    after = trained().after | {"bias": digest(np.array([-0.1, 0.1]))}
    gradients = copy.deepcopy(trained().gradients) | {"bias": [digest(-BIAS), digest(BIAS)]}
    found = comparison(trained(), trained(after=after, gradients=gradients))
    assert verdicts(found)["variable", "bias"] is Verdict.NOISE
    assert verdicts(found)["gradient", "bias"] is Verdict.EQUAL
    assert found.verdict is Verdict.EQUAL
    assert found.largest is not None
    assert found.largest < 1e-4


def test_a_weight_that_drifts_though_its_gradient_is_none_of_rounding_differs() -> None:
    after = trained().after | {"kernel": digest(KERNEL + 0.2)}
    found = comparison(trained(), trained(after=after))
    assert verdicts(found)["variable", "kernel"] is Verdict.DIFFERS


def test_what_rounding_alone_makes_as_different_is_noise() -> None:
    many = trained(after=trained().after | {"mean": digest(np.ones(2) * 1.02)})
    again = trained(after=trained().after | {"mean": digest(np.ones(2) * 0.99)})
    assert comparison(trained(), many).verdict is Verdict.DIFFERS
    found = comparison(trained(), many, again)
    assert verdicts(found)["variable", "mean"] is Verdict.NOISE
    assert found.verdict is Verdict.EQUAL


def test_what_rounding_makes_far_less_different_differs() -> None:
    many = trained(after=trained().after | {"mean": digest(np.ones(2) * 2)})
    again = trained(after=trained().after | {"mean": digest(np.ones(2) * 0.99)})
    assert verdicts(comparison(trained(), many, again))["variable", "mean"] is Verdict.DIFFERS


def test_what_differs_in_one_process_from_the_first_step_on_cannot_be_repeated() -> None:
    many = trained(results={"loss": np.asarray(1.0)})
    again = trained(results=many.results | {"loss": np.asarray(0.51), "val_loss": np.asarray(0.6)})
    again.gradients["kernel"][0] = again.gradients["kernel"][0] * 2
    found = comparison(trained(), many, again)
    assert verdicts(found)["result", "loss"] is Verdict.CANNOT_REPEAT
    assert verdicts(found)["result", "val_loss"] is Verdict.DIFFERS


def test_no_number_in_both_is_equal_and_said() -> None:
    one, many = (trained(results={"loss": np.asarray(np.nan)}) for _ in range(2))
    found = comparison(one, many)
    assert found.verdict is Verdict.EQUAL
    assert found.warnings == ("loss came to no finite number in one process, too",)


def test_it_travels_as_json() -> None:
    found = comparison(trained(set_aside=("dropout",)), trained(results={}, warnings=("careful",)))
    assert Comparison.from_json(found.to_json()) == found
    assert found.set_aside == ("dropout",)


def test_a_digest_of_many_numbers_has_their_largest_and_keeps_their_places() -> None:
    many = np.zeros(100_000)
    many[777] = -5.0
    assert digest(many).max() == 5.0
    assert len(digest(many)) < 5000
    assert len(digest(np.zeros(0))) == 0
    assert numbers_of(digest(KERNEL)).tolist() == KERNEL.tolist()
