"""The matrix, row by row: N workers give the answer of one process of plain Keras.

`make conformance` runs it with 1, 2 and 3 workers and prints the table; `make test-all` runs each third row with 2,
each twentieth with 3 as well, and `make test` the first row of each group with 2.
"""

from __future__ import annotations

import os
from collections import defaultdict
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.cases import ROWS, Row
from tests.worker.conftest import Pools
from tests.worker.pool import Outcome

WORKERS = [int(count) for count in os.environ.get("CONFORMANCE_WORKERS", "2,3").split(",")]
_ALL = "CONFORMANCE_WORKERS" in os.environ
_FIRST = [next(names) for _, names in groupby(ROWS, key=lambda name: ROWS[name].group)]
_THIRD = [name for number, name in enumerate(ROWS) if number % 3 == 0 or name in _FIRST]
_SOME = list(ROWS)[::20]

_references: dict[str, Outcome] = {}
TABLE: dict[str, dict[int, str]] = defaultdict(dict)


@pytest.mark.parametrize(
    ("workers", "name"),
    [
        pytest.param(workers, name, marks=[pytest.mark.everyday] * (workers == WORKERS[0] and name in _FIRST))
        for workers in WORKERS
        for name in (ROWS if _ALL else _THIRD if workers == WORKERS[0] else _SOME)
    ],
)
def test_n_workers_give_the_answer_of_plain_keras(name: str, workers: int, pools: Pools, tmp_path: Path) -> None:
    row = ROWS[name]
    if name not in _references:
        [_references[name]] = pools(0).run(row.case, tmp_path)
    reference = _references[name]
    assert not reference.error, reference.error
    pool = pools(workers)
    subjects = pool.run(row.case, tmp_path / "run")
    errors = [outcome.error for outcome in subjects if outcome.error]
    TABLE[name][workers] = "error" if errors else f"{worst_difference(subjects[0], reference):.0e}"
    assert not errors, errors[0]
    compare(row, subjects[0], reference)
    for subject in subjects[1:]:
        np.testing.assert_equal(subject.history, subjects[0].history)


def compare(row: Row, subject: Outcome, reference: Outcome) -> None:
    assert len(subject.weights) == len(reference.weights)
    for ours, theirs in zip(subject.weights, reference.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=row.tolerance, rtol=row.tolerance)
    assert len(subject.history) == len(reference.history)
    for ours_epoch, theirs_epoch in zip(subject.history, reference.history, strict=True):
        assert ours_epoch == pytest.approx(theirs_epoch, abs=row.tolerance, rel=row.tolerance, nan_ok=True)
    if reference.learning_rates:
        assert subject.learning_rates == pytest.approx(reference.learning_rates)
    assert subject.test == pytest.approx(reference.test, abs=row.tolerance, rel=row.tolerance, nan_ok=True)


def worst_difference(subject: Outcome, reference: Outcome) -> float:
    """The largest absolute difference in weights, history and test metrics; infinite where shapes differ."""
    if len(subject.weights) != len(reference.weights) or len(subject.history) != len(reference.history):
        return float("inf")
    weights = [np.abs(a - b).max() for a, b in zip(subject.weights, reference.weights, strict=True) if a.size]
    history = [
        np.max(np.abs(np.asarray(ours[key]) - np.asarray(theirs.get(key, np.inf))))
        for ours, theirs in zip(subject.history, reference.history, strict=True)
        for key in ours
    ]
    return float(np.nanmax([0.0, *weights, *history]))
