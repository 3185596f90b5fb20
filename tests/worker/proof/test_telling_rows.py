from __future__ import annotations

import numpy as np
import pytest

from raytrain.spec.shards import plan_shards
from raytrain.worker.proof.telling_rows import MOST_ROWS, batches_of


def rows_of(batches: list[tuple[np.ndarray, ...]]) -> list[int]:
    return [len(batch[0]) for batch in batches]


@pytest.mark.parametrize(
    ("rows", "workers", "batch", "expected"),
    [
        (96, 2, 32, [32]),
        (129, 2, 32, [32, 1]),
        (130, 3, 32, [32, 2]),
        (20, 2, 32, [20]),
        (1000, 2, 256, [64, 64]),
        (1001, 2, 256, [64, 63]),
        (100, 40, 100, [60]),
    ],
)
def test_batches_are_divided_as_those_of_the_run(rows: int, workers: int, batch: int, expected: list[int]) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch)
    found = batches_of((np.arange(rows), np.zeros(rows)), plan)
    assert rows_of(found) == list(dict.fromkeys(expected))
    for size, whole in zip(rows_of(found), (plan.batch_rows(0), plan.batch_rows(plan.steps - 1)), strict=False):
        assert size <= max(MOST_ROWS, 2 * workers)
        assert size % workers == whole % workers


def test_every_class_is_among_them() -> None:
    labels = np.repeat(np.arange(20), 50)
    [batch] = batches_of((np.arange(1000.0), labels), plan_shards(1000, workers=2, global_batch_size=40))
    assert set(batch[1]) == set(range(20))
    assert (np.diff(batch[0]) > 0).all()


@pytest.mark.parametrize(
    "labels", [np.linspace(0, 1, 1000), {"a": np.zeros(1000), "b": np.zeros(1000)}, np.zeros((1000, 3, 3))]
)
def test_labels_that_are_no_classes(labels: object) -> None:
    [batch] = batches_of((np.arange(1000.0), labels), plan_shards(1000, workers=2, global_batch_size=40))
    assert len(batch[0]) == 40


def test_where_there_are_too_few_they_come_again() -> None:
    [batch] = batches_of((np.arange(3.0), np.zeros(3)), plan_shards(320, workers=2, global_batch_size=32))
    assert rows_of([batch]) == [32]
