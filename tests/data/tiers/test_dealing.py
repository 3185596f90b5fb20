"""The dealing rule: disjoint, complete, balanced, and the same however the rows come in blocks."""

from __future__ import annotations

from itertools import accumulate, chain, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raytrain.data.tiers.dealing import Dealing, owning_ranks, source_ranges
from raytrain.data.tiers.passes import file_order
from raytrain.spec.shards import plan_shards, worker_slice

ROWS, WORKERS, BATCH = st.integers(1, 400), st.integers(1, 9), st.integers(1, 60)


@given(ROWS, WORKERS, BATCH, st.booleans())
def test_a_position_belongs_to_the_worker_whose_slice_of_its_batch_holds_it(
    rows: int, workers: int, batch: int, drop: bool
) -> None:
    plan = plan_shards(rows, workers=workers, global_batch_size=batch, drop_remainder=drop)
    owners = owning_ranks(np.arange(rows), plan)
    expected = np.full(rows, -1)
    for step in range(plan.steps):
        for rank in range(workers):
            start, stop = worker_slice(plan.batch_rows(step), workers, rank)
            expected[step * batch + start : step * batch + stop] = rank
    np.testing.assert_array_equal(owners, expected)
    assert tuple(np.bincount(owners[owners >= 0], minlength=workers)) == plan.rows_per_worker


@given(
    marks=st.lists(st.integers(0, 2), min_size=1, max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    workers=WORKERS,
    batch=BATCH,
)
def test_every_row_is_dealt_once_in_order_however_the_blocks_are_cut(
    marks: list[int], cuts: list[int], workers: int, batch: int
) -> None:
    all_marks = np.array(marks, np.int8)
    counts = np.bincount(all_marks, minlength=3)
    plans = {
        split: plan_shards(int(count), workers=workers, global_batch_size=batch)
        for split, count in zip(("train", "validation", "test"), counts, strict=True)
        if count
    }
    bounds = [0, *sorted(min(cut, len(marks)) for cut in cuts), len(marks)]
    dealing = Dealing(plans)
    got: dict[str, list[list[int]]] = {split: [[] for _ in range(workers)] for split in plans}
    for start, stop in pairwise(bounds):
        for split, ranks in dealing.deal(all_marks[start:stop]).items():
            for rank, rows in enumerate(ranks):
                got[split][rank] += (rows + start).tolist()
    for number, split in enumerate(("train", "validation", "test")):
        if split in plans:
            assert tuple(map(len, got[split])) == plans[split].rows_per_worker
            assert all(rows == sorted(rows) for rows in got[split])
            assert sorted(chain.from_iterable(got[split])) == np.flatnonzero(all_marks == number).tolist()


@given(rows=st.lists(st.integers(0, 9), min_size=1, max_size=8), data=st.data())
def test_rows_of_reordered_files_keep_their_place_in_the_source(rows: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    starts = [0, *accumulate(rows)]
    whole = [row for file in order for row in range(starts[file], starts[file] + rows[file])]
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    ranges = source_ranges(start, stop, order, rows)
    assert [row for first, last in ranges for row in range(first, last)] == whole[start:stop]


def test_the_order_of_files_is_a_function_of_seed_and_epoch() -> None:
    orders = [file_order(30, seed=1, epoch=epoch) for epoch in range(3)]
    assert orders == [file_order(30, seed=1, epoch=epoch) for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert all(sorted(order or []) == list(range(30)) for order in orders)
    assert file_order(30, seed=1, epoch=None) is None
    assert file_order(1, seed=1, epoch=0) is None
