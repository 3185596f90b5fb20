from __future__ import annotations

import numpy as np
import pytest

from raytrain.worker.proof.observed import Observed, differences


def sizes(one: Observed, many: Observed) -> dict[tuple[str, str], float]:
    return {(each.kind, each.name): each.size for each in differences(one, many)}


def test_a_difference_is_told_in_the_quantitys_own_size() -> None:
    one = Observed(results={"loss": np.array(200.0), "accuracy": np.array(0.5)})
    many = Observed(results={"loss": np.array(201.0), "accuracy": np.array(0.5)})
    assert sizes(one, many) == {("result", "loss"): pytest.approx(0.005), ("result", "accuracy"): 0.0}


def test_a_gradient_that_is_zero_but_for_rounding_is_noise_of_the_largest() -> None:
    one = Observed(gradients={"kernel": np.array([1.0, -2.0]), "bias": np.array([1e-9])})
    many = Observed(gradients={"kernel": np.array([1.0, -2.0]), "bias": np.array([-1e-9])})
    assert max(sizes(one, many).values()) < 1e-5


def test_a_small_gradient_that_is_another_one_is_none() -> None:
    one = Observed(gradients={"kernel": np.array([1.0]), "bias": np.array([0.01])})
    many = Observed(gradients={"kernel": np.array([1.0]), "bias": np.array([0.02])})
    assert sizes(one, many)["gradient", "bias"] == pytest.approx(1.0)


def test_a_variable_is_judged_by_its_gradient_where_both_have_it() -> None:
    one = Observed(
        gradients={"kernel": np.array([1.0])}, variables={"kernel": np.array([0.1]), "mean": np.array([3.0])}
    )
    many = Observed(
        gradients={"kernel": np.array([1.0])}, variables={"kernel": np.array([9.9]), "mean": np.array([3.3])}
    )
    assert sizes(one, many) == {("gradient", "kernel"): 0.0, ("variable", "mean"): pytest.approx(0.1)}
    unseen = Observed(variables=many.variables)
    assert sizes(one, unseen)["variable", "kernel"] > 1


@pytest.mark.parametrize(
    ("one", "many", "is_alike"),
    [
        ([np.nan, 1.0], [np.nan, 1.0], True),
        ([np.inf], [np.inf], True),
        ([np.nan], [0.0], False),
        ([1.0], [1.0, 1.0], False),
        ([], [], True),
    ],
)
def test_numbers_that_are_none(one: list[float], many: list[float], is_alike: bool) -> None:
    found = sizes(Observed(results={"m": np.array(one)}), Observed(results={"m": np.array(many)}))
    assert found["result", "m"] == (0.0 if is_alike else np.inf)


def test_what_only_one_of_them_has_differs() -> None:
    assert sizes(Observed(results={"a": np.array(1.0)}), Observed()) == {("result", "a"): np.inf}
