"""The rows that a check trains on are the first ones of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.data.first_rows import first_rows, rows_of
from raytrain.data.tiers.readers import epoch_order
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import plan_shards

ROWS = {"x": [float(row) for row in range(100)], "y": [row % 2 for row in range(100)]}


def spec(**data: Any) -> JobSpec:
    data = {"train": {"inline": ROWS}, "features": "x", "label": "y"} | data
    fit = {"global_batch_size": 16, "seed": 7}
    return JobSpec.model_validate({"name": "a", "model": "model.py:build", "data": data, "fit": fit})


@pytest.mark.parametrize(
    ("rows", "steps", "drop", "expected"),
    [
        (100, 8, False, 100),
        (100, 3, False, 36),
        (96, 3, False, 48),
        (100, 3, True, 48),
        (100, 50, True, 96),
        (5, 1, False, 5),
    ],
)
def test_the_last_batch_is_partial_where_an_epochs_is(rows: int, steps: int, drop: bool, expected: int) -> None:
    plan = plan_shards(rows, workers=2, global_batch_size=16, drop_remainder=drop)
    assert rows_of(plan, steps) == expected


def test_they_come_in_the_order_of_the_first_epoch(tmp_path: Path) -> None:
    told: list[str] = []
    [features], labels = (
        np.atleast_2d(part) for part in first_rows(spec(), tmp_path, steps=3, tell=told.append)["train"]
    )
    order = epoch_order(100, seed=7, epoch=0, shuffle=True)[:36]
    assert features.tolist() == order.tolist()
    assert labels.ravel().tolist() == (order % 2).tolist()
    assert told == ["reading the rows"]


def test_they_are_split_and_preprocessed_as_in_a_run(tmp_path: Path) -> None:
    scaled = spec(validation=0.2, shuffle=False, preprocess=[{"min_max": {"columns": ["x"]}}])
    splits = first_rows(scaled, tmp_path, steps=2, tell=print)
    assert {name: len(arrays[0]) for name, arrays in splits.items()} == {"train": 32, "validation": 20}
    assert splits["train"][0].max() < 0.5  # what is learned is learned from all rows


def test_a_function_of_the_users_needs_no_ray(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("def load():\n    return {'x': [1.0] * 20, 'y': [0] * 20}\n")
    told: list[str] = []
    splits = first_rows(spec(train={"python": "data.py:load"}), tmp_path, steps=8, tell=told.append)
    assert len(splits["train"][0]) == 20
    assert told == ["reading the rows"]
