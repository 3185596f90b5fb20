"""The plan says which promise holds for the run's answer."""

from __future__ import annotations

from typing import Any

import pytest

from raytrain.spec.equivalence import promise
from raytrain.spec.job import JobSpec
from raytrain.spec.tier_choice import Tier


def spec(workers: int, *, sync: bool = False, layer: dict[str, Any] | None = None) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "case",
            "model": {"layers": [layer or {"Dense": {"units": 1}}]},
            "compile": {"loss": "mse"},
            "data": {"train": {"inline": {"x": [0.0], "y": [0.0]}}, "features": "x", "label": "y"},
            "fit": {"sync_batch_norm": sync},
            "scaling": {"workers": workers},
        }
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (spec(1, layer={"BatchNormalization": None}), "that of plain Keras in one process"),
        (spec(2), "random layers draw by worker, plain BatchNormalization normalises by worker"),
        (spec(2, sync=True), "BatchNormalization included"),
        (spec(2, layer={"BatchNormalization": None}), "fit.sync_batch_norm=true takes the whole"),
        (spec(2, layer={"BatchNormalization": {"synchronized": True}}), "that of one process; random layers"),
    ],
)
def test_promise(given: JobSpec, said: str) -> None:
    assert said in promise(given)


@pytest.mark.parametrize(
    ("workers", "tier", "shuffle", "said"),
    [
        (2, "sharded", True, "another order of the rows than one process'"),
        (2, "streaming", True, "another order of the rows than one process'"),
        (1, "streaming", True, "another order of the rows than one process'"),
        (1, "sharded", True, "that of plain Keras in one process"),
        (2, "sharded", False, "that of one process; random layers"),
        (2, "streaming", False, "that of one process; random layers"),
        (2, None, True, "that of one process; random layers"),
    ],
)
def test_the_promise_of_a_tier(workers: int, tier: Tier | None, shuffle: bool, said: str) -> None:
    given = spec(workers)
    given = given.model_copy(update={"data": given.data.model_copy(update={"shuffle": shuffle})})
    assert said in promise(given, tier)
