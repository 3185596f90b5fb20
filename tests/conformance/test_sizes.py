"""Any number of rows over any number of workers: never a hang, never a row left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cases import ADAM, Row, make, mlp
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
