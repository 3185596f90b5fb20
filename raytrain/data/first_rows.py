"""The first rows of each split as a run would train on them, with a Ray of this process' own only where rows need one.

Runs in: a process that is no driver, on a machine without a cluster.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from raytrain.data.packed import Arrays, map_arrays, row_count
from raytrain.data.tiers.readers import epoch_order
from raytrain.spec.checks import SPLITS, plan_splits
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import ShardPlan
from raytrain.spec.source_kinds import Source

_AT_ONCE = ("sklearn", "inline", "python")
_TRIES = 3
_MEMORY_BYTES = 512 * 2**20  # of Ray's object store


def first_rows(spec: JobSpec, folder: Path, *, steps: int, tell: Callable[[str], None]) -> dict[str, Arrays]:
    """The rows of so many steps of each split, at most, in the order that the first epoch has them.

    The last batch is partial where an epoch's last batch is. What preprocessing learns, it learns from all train rows.

    Args:
        tell: told in a few words what is being done.

    Raises:
        UserCodeError, SpecError: as `raytrain.data.dataset.load_dataset` says.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # nobody's cluster is asked
        os.environ.pop(name, None)
    tables = _tables_without_ray(spec, folder, tell)
    if tables is None:
        tell("starting a Ray to read the rows with")
        with _private_ray(spec.scaling.workers):
            tell("reading the rows")
            return _by_ray(spec, folder, steps)
    from raytrain.data.dataset import pack_tables
    from raytrain.data.pipeline import Pipeline

    packed = pack_tables(spec, tables, Pipeline(spec, folder))
    plans = plan_splits(spec, packed.counts)
    found = {split: arrays for split, arrays in packed.splits.items() if split in plans}
    return {split: _first(arrays, plans[split], spec, split, steps) for split, arrays in found.items()}


def _tables_without_ray(spec: JobSpec, folder: Path, tell: Callable[[str], None]) -> Mapping[str, pa.Table] | None:
    """Of each source; None where one of them is read by Ray Data."""
    sources = {part: source for part in SPLITS if isinstance(source := getattr(spec.data, part), Source)}
    if any(source.kind not in _AT_ONCE for source in sources.values()):
        return None
    tell("reading the rows")
    from raytrain.data.sources.read_source import table_at_once

    tables: dict[str, pa.Table] = {}
    for part, source in sources.items():
        table = table_at_once(source, folder, field=f"data.{part}")
        if table is None:
            return None
        tables[part] = table
    return tables


@contextlib.contextmanager
def _private_ray(workers: int) -> Iterator[None]:
    """A Ray that nobody else sees and that ends with the block; with CPUs enough for the job's checks of its room."""
    import ray

    if ray.is_initialized():  # by the user's own code
        ray.shutdown()
    for tries_left in reversed(range(_TRIES)):
        try:
            ray.init(
                address="local",
                num_cpus=workers + 2,
                object_store_memory=_MEMORY_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            break
        except Exception as error:
            ray.shutdown()
            if not tries_left or "timed out" not in str(error):  # a node has half a minute, on a busy machine too
                raise
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def _by_ray(spec: JobSpec, folder: Path, steps: int) -> dict[str, Arrays]:
    import ray

    from raytrain.data.dataset import load_dataset
    from raytrain.data.tiers.tier_datasets import DealtDataset, SharedDataset

    scaling = spec.scaling.model_copy(update={"cpus_per_worker": 1.0, "min_workers": None})
    data = spec.data.model_copy(update={"cache": "auto"})
    dataset = load_dataset(spec.model_copy(update={"scaling": scaling, "data": data}), folder)
    if isinstance(dataset, SharedDataset):
        return {
            split: _first(ray.get(dataset.refs[split]), plan, spec, split, steps)
            for split, plan in dataset.plans.items()
        }
    assert isinstance(dataset, DealtDataset)
    return {split: dataset.head(split, rows_of(plan, steps)) for split, plan in dataset.plans.items()}


def rows_of(plan: ShardPlan, steps: int) -> int:
    """Rows of the first steps of a split, of which the last has as many as an epoch's last."""
    steps = min(steps, plan.steps)
    return (steps - 1) * plan.global_batch_size + plan.batch_rows(plan.steps - 1)


def _first(arrays: Arrays, plan: ShardPlan, spec: JobSpec, split: str, steps: int) -> Arrays:
    shuffle = spec.data.shuffle and split == "train"
    order = epoch_order(row_count(arrays), seed=spec.fit.seed, epoch=spec.fit.initial_epoch, shuffle=shuffle)
    chosen = order[: rows_of(plan, steps)]
    return map_arrays(lambda array: array[chosen], arrays)
