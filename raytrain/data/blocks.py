"""The blocks of a dataset, one after another as they are ready, left in the object store where Ray tells where.

Runs in: the driver and the dealer's actor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import ray
import ray.data

from raytrain import ray_internals


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """The rows from `first` up to `stop` of a block in the object store; `bytes`: what all of the block takes."""

    ref: ray.ObjectRef
    first: int
    stop: int
    bytes: int


def stored_rows(dataset: ray.data.Dataset) -> Iterator[StoredRows]:
    """Runs the dataset; its rows, in its order."""
    if not ray_internals.is_there(ray_internals.BLOCKS):
        for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield StoredRows(ref=ray.put(table), first=0, stop=table.num_rows, bytes=table.nbytes)
        return
    for bundle in dataset.iter_internal_ref_bundles():
        for block, cut in zip(bundle.blocks, bundle.slices or (), strict=True):
            first, stop = (0, block.metadata.num_rows) if cut is None else (cut.start_offset, cut.end_offset)
            yield StoredRows(ref=block.ref, first=first, stop=stop, bytes=block.metadata.size_bytes)
