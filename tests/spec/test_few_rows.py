"""How many rows a few batches leave, alike for the plan and for the run."""

from __future__ import annotations

from typing import Any

from raytrain.spec.checks import plan_splits
from raytrain.spec.few_rows import rows_of_few, spec_of_few, spec_of_trial
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import SplitCounts

ROWS = {"train": 100, "validation": 30, "test": 20}


def job(**fit: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "tiny",
            "model": "model.py:build_model",
            "data": {"train": {"sklearn": "digits"}, "features": "image", "label": "digit"},
            "fit": {"epochs": 5, "global_batch_size": 8, **fit},
        }
    )


def test_all_rows_without_a_word() -> None:
    assert rows_of_few(job(), ROWS) == ROWS


def test_overfitting_takes_the_first_batches_for_validation_too_and_no_test() -> None:
    assert rows_of_few(job(overfit_batches=2), ROWS) == {"train": 16, "validation": 16, "test": 0}
    assert rows_of_few(job(overfit_batches=50), ROWS)["train"] == 100
    assert rows_of_few(job(overfit_batches=2), ROWS | {"validation": 0})["validation"] == 0
    plans = plan_splits(job(overfit_batches=2), SplitCounts(**ROWS))
    assert {split: plan.steps for split, plan in plans.items()} == {"train": 2, "validation": 2}
    assert not spec_of_few(job(overfit_batches=2)).data.shuffle


def test_a_trial_takes_one_batch_of_each_and_one_epoch() -> None:
    tried = spec_of_trial(job(overfit_batches=2, validation_batch_size=40, validation_freq=3, initial_epoch=2))

    assert rows_of_few(tried, ROWS, one_of_each=True) == {"train": 8, "validation": 30, "test": 8}
    assert (tried.fit.epochs, tried.fit.overfit_batches, tried.fit.validation_freq) == (3, None, 1)
