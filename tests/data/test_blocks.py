"""A dataset's rows as they lie in the object store, on real Ray, where it tells of its blocks and where it does not."""

from __future__ import annotations

import pyarrow as pa
import pytest
import ray
from ray.data.block import BlockAccessor

from raytrain import ray_internals
from raytrain.data.blocks import stored_rows
from raytrain.data.tiers import capacity
from raytrain.ray_internals import Use

pytestmark = pytest.mark.usefixtures("ray_cluster")

GONE = Use(places=("ray:gone",), without="something")


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("rows", [None, 7])
def test_all_rows_in_order(is_told: bool, rows: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_told:
        monkeypatch.setattr(ray_internals, "BLOCKS", GONE)
        monkeypatch.delattr(ray.data.Dataset, "iter_internal_ref_bundles")
    dataset = ray.data.from_arrow([pa.table({"x": range(first, first + 5)}) for first in (0, 5, 10)])
    dataset.context.execution_options.preserve_order = True
    found = []
    for block in stored_rows(dataset if rows is None else dataset.limit(rows)):
        table = BlockAccessor.for_block(ray.get(block.ref)).to_arrow()
        assert block.bytes > 0
        found += table["x"].to_pylist()[block.first : block.stop]
    assert found == list(range(15 if rows is None else rows))


def test_where_ray_does_not_tell_what_was_spilled_nothing_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_internals, "SPILLING", GONE)
    monkeypatch.delattr("ray._private.internal_api.get_memory_info_reply")
    assert capacity.spilled_bytes() == 0
