"""Any number of rows over any number of workers: never a hang, never a row left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.cases import ADAM, Row, make, mlp, of_batches
from tests.conformance.test_matrix import WORKERS, compare
from tests.worker.conftest import Pools


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("batch", [3, 16], ids=["batch below the rows", "batch above the rows"])
def test_every_row_counts_whatever_the_sizes(workers: int, batch: int, pools: Pools, tmp_path: Path) -> None:
    for rows in range(1, 3 * workers + 2):
        case = make(mlp(f'{ADAM}, metrics=[keras.metrics.TruePositives(name="tp")]'), train=rows, epochs=1)
        case.spec["fit"]["global_batch_size"] = batch
        [reference] = pools(0).run(case, tmp_path)
        subjects = pools(workers).run(case, tmp_path / f"{rows}")
        assert not any(subject.error for subject in subjects), subjects[0].error
        compare(Row(group="sizes", case=case), subjects[0], reference)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("eagerly", ["", ", run_eagerly=True"], ids=["as a graph", "eagerly"])
def test_a_worker_that_never_has_rows_knows_what_all_have(
    eagerly: str, workers: int, pools: Pools, tmp_path: Path
) -> None:
    case = of_batches(f"keras.losses.Dice(){eagerly}", metrics="Spread(name='spread'), 'mse'")
    case = replace(case, splits={name: tuple(part[:1] for part in parts) for name, parts in case.splits.items()})
    [reference] = pools(0).run(case, tmp_path)
    subjects = pools(workers).run(case, tmp_path / "run")
    assert not any(subject.error for subject in subjects), subjects[0].error
    for subject in subjects:
        compare(Row(group="sizes", case=case), replace(subjects[0], history=subject.history), reference)
