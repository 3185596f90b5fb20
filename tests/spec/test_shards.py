from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raytrain.spec.shards import fraction_of, plan_shards, split_counts, worker_slice

ROWS, WORKERS, BATCH = st.integers(0, 5_000), st.integers(1, 40), st.integers(1, 300)
FRACTIONS = st.floats(0, 0.5, allow_nan=False)


@given(st.integers(0, 10_000), WORKERS)
def test_slices_are_disjoint_complete_in_order_and_balanced(batch_rows: int, workers: int) -> None:
    slices = [worker_slice(batch_rows, workers, rank) for rank in range(workers)]
    assert slices[0][0] == 0
    assert slices[-1][1] == batch_rows
    assert all(left[1] == right[0] for left, right in pairwise(slices))
    sizes = [stop - start for start, stop in slices]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(ROWS, WORKERS, BATCH, st.booleans())
def test_a_plan_is_what_walking_over_every_batch_gives(rows: int, workers: int, batch: int, drop: bool) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch, drop_remainder=drop)
    sizes = [plan.batch_rows(step) for step in range(plan.steps)]
    assert all(0 < size <= batch for size in sizes)
    assert all(size == batch for size in sizes[:-1])
    assert sum(sizes) == rows - plan.dropped == sum(plan.rows_per_worker)
    read = [0] * workers
    for size in sizes:
        for rank in range(workers):
            start, stop = worker_slice(size, workers, rank)
            read[rank] += stop - start
    assert tuple(read) == plan.rows_per_worker
    assert plan.dropped == (rows % batch if drop else 0)


@given(st.integers(0, 10**15), WORKERS, st.integers(1, 10**9))
def test_a_plan_takes_no_longer_for_more_rows(rows: int, workers: int, batch: int) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch)
    assert sum(plan.rows_per_worker) == rows
    assert plan.steps == -(-rows // batch)


@given(ROWS, FRACTIONS, FRACTIONS)
def test_splits_are_complete(total: int, validation: float, test: float) -> None:
    counts = split_counts(total, validation=validation, test=test)
    assert counts.train + counts.validation + counts.test == total
    assert abs(counts.validation - validation * total) <= 0.5 + 1e-6


def test_fractions_are_taken_as_written_in_decimal() -> None:
    assert fraction_of(1797, 0.1) == 180
    assert fraction_of(5, 0.1) == 1  # 0.5 rounds up
    assert fraction_of(10, 0.35) == 4  # binary 0.35 is below 0.35, and would give 3
    assert fraction_of(1000, 1e-3) == 1


def test_the_demo() -> None:
    counts = split_counts(1797, validation=0.1, test=0.1)
    assert (counts.train, counts.validation, counts.test) == (1437, 180, 180)
    plan = plan_shards(counts.train, workers=2, global_batch_size=32)
    assert (plan.steps, plan.rows_per_worker, plan.batch_rows(44)) == (45, (719, 718), 29)


def test_twelve_rows_over_eight_workers_are_all_read() -> None:
    assert plan_shards(12, workers=8, global_batch_size=12).rows_per_worker == (2, 2, 2, 2, 1, 1, 1, 1)
