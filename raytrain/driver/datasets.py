"""From the spec's `data` to what the workers are fed: read, split, preprocess, pack, put into Ray's object store.

Runs in: the driver. Each node's workers read the packed arrays from its object store without copying them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray

from raytrain.driver.columns import pack, to_arrays
from raytrain.driver.preprocess import preprocess
from raytrain.driver.sources import read_table
from raytrain.driver.splits import split_rows
from raytrain.errors import SpecError
from raytrain.spec.checks import SPLITS, check_counts, plan_splits
from raytrain.spec.checks import split_rows as count_rows
from raytrain.spec.schema import JobSpec
from raytrain.spec.shards import ShardPlan, SplitCounts
from raytrain.spec.source import Source
from raytrain.worker.shards import Shards, SharedShards


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The job's data, ready to be trained on.

    Attributes:
        refs: for each split, the object reference of its `raytrain.worker.feed.Arrays`.
        plans: how the workers read each split.
    """

    refs: dict[str, ray.ObjectRef]
    plans: dict[str, ShardPlan]

    @contextlib.contextmanager
    def serve(self) -> Iterator[Shards]:
        """What one worker group reads its rows from, while the block runs."""
        yield SharedShards(refs=self.refs)


def load_dataset(spec: JobSpec, folder: Path) -> Dataset:
    """Reads everything the job trains on.

    Raises:
        UserCodeError: the data cannot be read or fed.
        SpecError: the true row counts do not fit the splits, the batch or the workers.
    """
    data = spec.data
    own = {part: source for part in SPLITS if isinstance(source := getattr(data, part), Source)}
    tables = {part: read_table(source, folder, field=f"data.{part}") for part, source in own.items()}
    rows = count_rows(data, {part: table.num_rows for part, table in tables.items()})
    counts = SplitCounts(**{part: rows[part] or 0 for part in SPLITS})
    problems = check_counts(spec, counts)
    if problems:
        raise SpecError(*problems)
    plans = plan_splits(spec, counts)
    names = _columns_to_read(spec, tables["train"].column_names)
    columns = {part: to_arrays(table, names) for part, table in tables.items()}
    fractions = SplitCounts(
        train=counts.train, **{part: 0 if part in own else rows[part] or 0 for part in ("validation", "test")}
    )
    chosen = split_rows(fractions, seed=spec.fit.seed, stratify_by=_stratify_by(spec, columns["train"]))
    parts = {part: {name: array[chosen[part]] for name, array in columns["train"].items()} for part in plans}
    parts |= {part: columns[part] for part in own if part != "train"}
    packed = {part: pack(arrays, data) for part, arrays in preprocess(parts, data.preprocess, folder).items()}
    return Dataset(refs={part: ray.put(_contiguous(arrays)) for part, arrays in packed.items()}, plans=plans)


def _columns_to_read(spec: JobSpec, offered: list[str]) -> list[str]:
    """The columns that are needed; all of them when the user's own function may look at any."""
    needed = [name for name in spec.data.used_columns if name in offered]
    if any(step.python for step in spec.data.preprocess):
        return list(dict.fromkeys([*needed, *offered]))
    return spec.data.used_columns


def _stratify_by(spec: JobSpec, columns: dict[str, Any]) -> Any:
    if spec.data.stratify is False:
        return None
    name = spec.data.label if spec.data.stratify is True else spec.data.stratify
    assert isinstance(name, str)
    return columns[name]


def _contiguous(arrays: Any) -> Any:
    if isinstance(arrays, dict):
        return {name: _contiguous(array) for name, array in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(_contiguous(array) for array in arrays)
    return np.ascontiguousarray(arrays)
