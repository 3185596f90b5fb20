"""How many steps a chunk of each feed may hold."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from raytrain.errors import UserCodeError
from raytrain.spec.job import JobSpec
from raytrain.worker.feed import Feed
from raytrain.worker.open_feeds import make_feeds, most_chunk_steps, set_steps_per_execution

SPEC: dict[str, Any] = {
    "name": "case",
    "model": "model.py:build_model",
    "data": {"train": {"inline": {"x": [0.0]}}, "validation": 0.5, "features": "x"},
    "fit": {"global_batch_size": 10},
}
ROWS = {"train": 1000, "validation": 50}


def feeds_of(spec: JobSpec) -> dict[str, Feed]:
    splits = {split: (np.zeros((rows, 3), np.float32), np.zeros(rows)) for split, rows in ROWS.items()}
    return make_feeds(spec, splits, rank=0, workers=1)


def model(**compiled: Any) -> keras.Model:
    built = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    built.compile(loss="mse", **compiled)
    return built


@pytest.mark.parametrize(
    ("steps", "batch_bytes", "most"),
    [(1000, 1000, 32), (5, 1000, 5), (1000, 4 * 2**20, 16), (1000, 2**30, 1), (0, 0, 1)],
)
def test_as_many_steps_are_gathered_as_fit(steps: int, batch_bytes: int, most: int) -> None:
    assert most_chunk_steps(steps=steps, global_batch_bytes=batch_bytes) == most


def test_training_begins_with_one_step_and_evaluation_with_as_many_as_fit() -> None:
    spec = JobSpec.model_validate(SPEC | {"checkpoint": {"every_steps": 7}})
    feeds, built = feeds_of(spec), model()
    set_steps_per_execution(built, spec, feeds, wants_batches=False)
    train, validation = feeds["train"], feeds["validation"]
    assert (train.chunk_steps, train.most_chunk_steps, train.cut_every) == (1, 32, 7)
    assert (validation.chunk_steps, validation.most_chunk_steps, validation.cut_every) == (5, None, None)
    assert built.steps_per_execution == 1


@pytest.mark.parametrize(
    ("compiled", "wants_batches", "steps"),
    [({"steps_per_execution": 6}, False, 6), ({}, True, 1), ({"run_eagerly": True}, False, 1)],
)
def test_a_number_that_is_chosen_stays(compiled: dict[str, Any], wants_batches: bool, steps: int) -> None:
    spec = JobSpec.model_validate(SPEC | {"checkpoint": {"every_steps": 7}})
    feeds = feeds_of(spec)
    set_steps_per_execution(model(**compiled), spec, feeds, wants_batches=wants_batches)
    assert {feed.chunk_steps for feed in feeds.values()} == {steps}
    assert feeds["train"].most_chunk_steps is None


def test_one_step_a_call_can_be_chosen() -> None:
    compiled = {"optimizer": "adam", "loss": "mse", "steps_per_execution": 1}
    spec = JobSpec.model_validate(SPEC | {"compile": compiled})
    feeds = feeds_of(spec)
    set_steps_per_execution(model(), spec, feeds, wants_batches=False)
    assert feeds["train"].most_chunk_steps is None


def test_more_steps_a_call_than_between_checkpoints_are_refused() -> None:
    spec = JobSpec.model_validate(SPEC | {"checkpoint": {"every_steps": 7}})
    with pytest.raises(UserCodeError, match="every 7 steps of a model that runs 8 a call"):
        set_steps_per_execution(model(steps_per_execution=8), spec, feeds_of(spec), wants_batches=False)
