"""From the spec's `data` to what the workers are fed: read, choose a tier, split, preprocess, pack.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray

from raytrain.data.label_checks import one_class, unseen_classes
from raytrain.data.lazy_source import EXAMPLE_ROWS, LazySource
from raytrain.data.packed import Arrays, map_arrays
from raytrain.data.pipeline import Pipeline
from raytrain.data.sources import number_classes_alike
from raytrain.data.splits import Splitter, key_columns, make_splitter, read_key, train_rows
from raytrain.data.tiers.array_files import array_dataset
from raytrain.data.tiers.capacity import free_disk_bytes, measure, spilled_bytes
from raytrain.data.tiers.passes import PassSource, split_marks
from raytrain.data.tiers.tier_datasets import Dataset, DealtDataset, SharedDataset, spill_notices
from raytrain.errors import SpecError
from raytrain.spec.checks import SPLITS, check_counts
from raytrain.spec.job import JobSpec
from raytrain.spec.peek.csv_header import ROW_NUMBERS
from raytrain.spec.shards import SplitCounts
from raytrain.spec.source_kinds import Source
from raytrain.spec.tier_choice import TierChoice, check_free_cpus, choose_tier


def load_dataset(spec: JobSpec, folder: Path) -> Dataset:
    """Makes everything the job trains on ready, in the tier that holds it.

    Raises:
        UserCodeError: the data cannot be read or fed.
        SpecError: the true row counts do not fit the splits, the batch or the workers; or the tier that is asked for
            does not hold the data, or its workers leave no CPU to read with.
    """
    if spec.data.train.arrays is not None:
        return array_dataset(spec, folder)
    scaling = spec.scaling
    capacity = measure(scaling.workers)
    named = {part: source for part in SPLITS if isinstance(source := getattr(spec.data, part), Source)}
    sources = {
        part: LazySource.of(source, folder, part, spec.data.columns)
        for part, source in number_classes_alike(named, folder).items()
    }
    tier = choose_tier(
        sum(source.estimate_bytes() for source in sources.values()),
        object_store_bytes=capacity.object_store_bytes,
        worker_memory_bytes=capacity.memory_bytes,
        local_disk_bytes=free_disk_bytes(scaling.workers),
        cache=spec.data.cache,
    )
    check_free_cpus(
        tier.tier,
        cluster_cpus=capacity.cpus,
        workers=scaling.min_workers or scaling.workers,
        cpus_per_worker=scaling.cpus_per_worker,
    )
    pipeline = Pipeline(spec, folder)
    load = _load_shared if tier.tier == "shared" else _load_dealt
    dataset = load(spec, sources, pipeline, tier)
    said = [text for source in sources.values() for text in source.read.notices]
    return replace(dataset, notices=(*dict.fromkeys(said), *_left_out(sources["train"], spec), *dataset.notices))


def _left_out(train: LazySource, spec: JobSpec) -> list[str]:
    """In words, the column of row numbers that a csv source has, where the job does not use it."""
    used = {*spec.data.source_columns, spec.data.split_column}
    if not train.source.csv or ROW_NUMBERS not in train.read.columns[:1] or ROW_NUMBERS in used:
        return []
    return [f"column 1, `{ROW_NUMBERS}`, numbers the rows and is no feature; data.features may name it"]


@dataclass(frozen=True, kw_only=True)
class PackedSplits:
    """All rows of each split as arrays."""

    counts: SplitCounts
    splits: Mapping[str, Arrays]


def pack_tables(spec: JobSpec, tables: Mapping[str, pa.Table], pipeline: Pipeline) -> PackedSplits:
    """Splits and packs all rows of the sources; the pipeline learns from the train rows.

    Raises:
        UserCodeError: the rows cannot be split, preprocessed or packed.
        SpecError: they do not fit the batch or the workers.
    """
    splitter = make_splitter(spec, tables["train"].num_rows, read_key(tables["train"], spec.data))
    counts = _counts(spec, splitter, {part: table.num_rows for part, table in tables.items()})
    marks = splitter.of(0, tables["train"].num_rows)
    parts = {split: tables["train"].filter(pa.array(marks == number)) for number, split in enumerate(SPLITS)}
    parts |= {part: table for part, table in tables.items() if part != "train"}
    pipeline.fit(lambda: iter([parts["train"]]))
    splits = {split: pipeline.apply(table) for split, table in parts.items() if table.num_rows}
    return PackedSplits(counts=counts, splits=splits)


def _load_shared(
    spec: JobSpec, sources: Mapping[str, LazySource], pipeline: Pipeline, tier: TierChoice
) -> SharedDataset:
    """Everything through the driver's memory into the object store."""
    spilled_before = spilled_bytes()
    tables = {part: source.table(columns=_worth_choosing(source, pipeline, spec)) for part, source in sources.items()}
    packed = pack_tables(spec, tables, pipeline)
    others = {split: arrays for split, arrays in packed.splits.items() if split != "train"}
    train = packed.splits["train"]
    suspicious = (*one_class(train, spec), *unseen_classes(train, others, spec))
    refs = {split: ray.put(map_arrays(np.ascontiguousarray, arrays)) for split, arrays in packed.splits.items()}
    notices = (*suspicious, *spill_notices(spilled_bytes() - spilled_before))
    return SharedDataset(spec=spec, counts=packed.counts, tier=tier, pipeline=pipeline, notices=notices, refs=refs)


def _worth_choosing(source: LazySource, pipeline: Pipeline, spec: JobSpec) -> list[str] | None:
    """The columns to read, where a source can leave the others unread; None where it reads all of them anyway."""
    if source.source.kind != "parquet":
        return None
    needed = source.columns(pipeline.columns_to_read)
    return list(dict.fromkeys([*needed, *(key_columns(spec.data) if source.part == "train" else [])]))


def _load_dealt(spec: JobSpec, sources: Mapping[str, LazySource], pipeline: Pipeline, tier: TierChoice) -> DealtDataset:
    """Only what is fitted, and the column that rows are split by, passes through the driver."""
    train = sources["train"]
    reordered = tier.tier == "streaming" and spec.data.shuffle and len(train.read.files) > 1
    file_rows = train.rows_per_file() if reordered else ()
    rows = {part: source.rows() for part, source in sources.items() if part != "train"}
    rows = {"train": sum(file_rows) if file_rows else train.rows(), **rows}
    keys = key_columns(spec.data)
    key = read_key(train.table(columns=keys), spec.data) if keys else None
    splitter = make_splitter(spec, rows["train"], key)
    counts = _counts(spec, splitter, rows)
    with train.naming_files():
        pipeline.fit(lambda: train_rows(train.tables(), splitter, field=train.field))
    passes = {
        part: PassSource(
            field=source.field,
            dataset=partial(source.dataset, source.columns(pipeline.columns_to_read)),
            rows=rows[part],
            marks=splitter.of if part == "train" else split_marks(SPLITS.index(part)),
            file_rows=file_rows if part == "train" else (),
            explain=source.explain,
        )
        for part, source in sources.items()
    }
    example = pipeline.apply(train.table(rows=EXAMPLE_ROWS))
    return DealtDataset(spec=spec, counts=counts, tier=tier, pipeline=pipeline, sources=passes, example=example)


def _counts(spec: JobSpec, splitter: Splitter, rows: Mapping[str, int]) -> SplitCounts:
    """Rows of each split, those of sources of their own among them.

    Raises:
        SpecError: they do not fit the batch or the workers.
    """
    own = {part: count for part, count in rows.items() if part != "train"}
    counts = SplitCounts(**{part: own.get(part, getattr(splitter.counts, part)) for part in SPLITS})
    problems = check_counts(spec, counts)
    if problems:
        raise SpecError(*problems)
    return counts
