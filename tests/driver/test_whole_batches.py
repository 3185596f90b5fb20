"""Whole batches: the same as one process has, whatever the blocks and the workers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raytrain.driver.whole_batches import BatchStream, Call, call_rows


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 30))
def test_every_row_is_in_one_call_in_order(blocks: list[int], size: int) -> None:
    stream = BatchStream(call_rows=size)
    calls: list[Call] = []
    for number, rows in enumerate(blocks):
        calls += stream.add(number, np.arange(rows))
    calls += stream.end()

    told = [(ref, int(row)) for call in calls for ref, rows in call.pieces for row in rows]
    assert told == [(number, row) for number, rows in enumerate(blocks) for row in range(rows)]
    assert [call.number for call in calls] == list(range(len(calls)))
    assert all(call.rows == size for call, _ in pairwise(calls))
    assert all(0 < call.rows <= size for call in calls)
    assert stream.rows == sum(blocks)


def test_a_call_is_whole_batches_and_every_worker_has_some() -> None:
    assert call_rows(1000, batch_size=32, workers=2, row_bytes=8) == 3 * 32
    assert call_rows(10, batch_size=32, workers=2, row_bytes=8) == 32
    assert call_rows(10**7, batch_size=32, workers=2, row_bytes=8) == 64 * 32
    assert call_rows(10**7, batch_size=32, workers=2, row_bytes=1 << 20) == 32
