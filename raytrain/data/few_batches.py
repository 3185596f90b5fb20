"""A job's data cut down to a few batches: to overfit on, or to try a whole job with one batch of each split.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import ray

from raytrain.data.packed import Arrays, map_arrays
from raytrain.data.tiers.tier_datasets import Dataset, DealtDataset, SharedDataset
from raytrain.spec.few_rows import rows_of_few
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import SplitCounts
from raytrain.spec.tier_choice import TierChoice


def few_batches(dataset: Dataset, spec: JobSpec, *, one_of_each: bool) -> SharedDataset:
    """The first rows of each split, in the source's own order, for all workers in the object store.

    What preprocessing learned, it has learned from all train rows.

    Args:
        spec: the job, of which `fit.overfit_batches` counts unless `one_of_each`.
        one_of_each: one batch of each split is kept.
    """
    counts = {split: getattr(dataset.counts, split) for split in ("train", "validation", "test")}
    wanted = rows_of_few(spec, counts, one_of_each=one_of_each)
    own = ("train", "validation", "test") if one_of_each else ("train",)
    kept = {split: _head(dataset, split, wanted[split]) for split in own if wanted[split]}
    if not one_of_each and wanted["validation"]:
        kept["validation"] = kept["train"]
    return SharedDataset(
        spec=spec,
        counts=SplitCounts(**wanted),
        tier=TierChoice(tier="shared", why="a few batches alone"),
        pipeline=dataset.pipeline,
        notices=dataset.notices,
        refs=_put(kept),
    )


def _head(dataset: Dataset, split: str, rows: int) -> Arrays:
    if isinstance(dataset, DealtDataset):
        return dataset.head(split, rows)
    assert isinstance(dataset, SharedDataset)
    return map_arrays(lambda array: array[:rows], ray.get(dataset.refs[split]))


def _put(splits: Mapping[str, Arrays]) -> dict[str, ray.ObjectRef]:
    return {split: ray.put(map_arrays(np.ascontiguousarray, arrays)) for split, arrays in splits.items()}
