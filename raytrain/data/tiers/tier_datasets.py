"""The job's data, ready to be trained on, as each tier holds it and serves it to a worker group.

Runs in: the driver.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import ray

from raytrain import formatting
from raytrain.data.packed import Arrays, bytes_per_row
from raytrain.data.pipeline import Pipeline
from raytrain.data.tiers.capacity import measure, spilled_bytes
from raytrain.data.tiers.dealer import start_dealer
from raytrain.data.tiers.dealt import Pass
from raytrain.data.tiers.passes import PassReader, PassSource
from raytrain.data.tiers.worker_shards import DealtShards, Shards, SharedShards
from raytrain.spec.checks import SPLITS, plan_splits
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import ShardPlan, SplitCounts
from raytrain.spec.tier_choice import MEMORY_SHARE, TierChoice, check_free_cpus

# Of rows among which a streamed batch is drawn. A constant, so that an epoch's order does not depend on the machine.
WINDOW_BYTES = 64 * 2**20
_MOST_AHEAD_BYTES = 512 * 2**20
_AHEAD_SHARE = 0.125  # of a node's object store


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """The job's data, ready to be trained on.

    Attributes:
        counts: rows of each split.
        tier: where the rows are kept, and why there.
        pipeline: what was done to the rows, fitted.
        notices: what the user should know of the loading.
    """

    spec: JobSpec
    counts: SplitCounts
    tier: TierChoice
    pipeline: Pipeline
    notices: tuple[str, ...] = ()

    @property
    def plans(self) -> dict[str, ShardPlan]:
        """How the workers that the spec asks for read each split."""
        return self.plans_for(self.spec.scaling.workers)

    def plans_for(self, workers: int) -> dict[str, ShardPlan]:
        """How that many workers read each split."""
        scaling = self.spec.scaling.model_copy(update={"workers": workers})
        return plan_splits(self.spec.model_copy(update={"scaling": scaling}), self.counts)

    @abstractmethod
    def serve(
        self, *, workers: int | None = None, notice: Callable[[str], None] | None = None
    ) -> contextlib.AbstractContextManager[Shards]:
        """What one worker group reads its rows from, while the block runs.

        Args:
            workers: of the group; as many as the spec asks for when None.
            notice: told what the user should know of it.

        Raises:
            SpecError: that many workers cannot be served on this cluster.
        """


@dataclass(frozen=True, kw_only=True)
class SharedDataset(Dataset):
    """All rows in the object store. `refs`: for each split, of its packed arrays."""

    refs: Mapping[str, ray.ObjectRef]

    @contextlib.contextmanager
    def serve(
        self, *, workers: int | None = None, notice: Callable[[str], None] | None = None
    ) -> Iterator[SharedShards]:
        yield SharedShards(refs=dict(self.refs))


@dataclass(frozen=True, kw_only=True)
class DealtDataset(Dataset):
    """Rows that a dealer reads for each worker group: once, to be cached, or every epoch.

    Attributes:
        sources: what is read, by `train` and the splits that have sources of their own.
        example: a few rows, packed.
    """

    sources: Mapping[str, PassSource]
    example: Arrays

    @contextlib.contextmanager
    def serve(
        self, *, workers: int | None = None, notice: Callable[[str], None] | None = None
    ) -> Iterator[DealtShards]:
        workers = workers or self.spec.scaling.workers
        capacity = measure(workers)
        scaling = self.spec.scaling
        check_free_cpus(
            self.tier.tier, cluster_cpus=capacity.cpus, workers=workers, cpus_per_worker=scaling.cpus_per_worker
        )
        plans = self.plans_for(workers)
        reader = PassReader(
            sources=self.sources,
            apply=self.pipeline.apply,
            example=self.example,
            plans=plans,
            seed=self.spec.fit.seed,
            worker_cpus=workers * scaling.cpus_per_worker,
        )
        memory_bytes = int(capacity.memory_bytes * MEMORY_SHARE)
        cached = cached_splits(self.tier, plans, row_bytes=bytes_per_row(self.example), memory_bytes=memory_bytes)
        ahead_bytes = min(_MOST_AHEAD_BYTES, int(capacity.object_store_bytes * _AHEAD_SHARE))
        spilled_before = spilled_bytes()
        dealer = start_dealer(reader, workers=workers, ahead_bytes=ahead_bytes)
        try:
            yield DealtShards(
                dealer=dealer,
                plans=plans,
                example=self.example,
                fills=tuple(self._fills(cached)),
                sources={split: self._source_of(split) for split in plans},
                memory_bytes=memory_bytes // workers,
                window_bytes=WINDOW_BYTES,
            )
        finally:
            ray.kill(dealer)
            if notice is not None:
                for text in spill_notices(spilled_bytes() - spilled_before):
                    notice(text)

    def head(self, split: str, rows: int) -> Arrays:
        """So many of the split's first rows, packed, in the source's own order."""
        source, wanted = self.sources[self._source_of(split)], SPLITS.index(split)
        tables: list[pa.Table] = []
        at = 0
        try:
            for table in source.dataset(None).iter_batches(batch_size=None, batch_format="pyarrow"):
                tables.append(table.filter(pa.array(source.marks(at, at + table.num_rows) == wanted)))
                at += table.num_rows
                if sum(each.num_rows for each in tables) >= rows:
                    break
        except Exception as error:
            raise source.explain(error) from error
        return self.pipeline.apply(pa.concat_tables(tables, promote_options="permissive").slice(0, rows))

    def _source_of(self, split: str) -> str:
        return split if split in self.sources else "train"

    def _fills(self, cached: list[str]) -> Iterator[Pass]:
        for source in self.sources:
            splits = tuple(split for split in cached if self._source_of(split) == source)
            if splits:
                yield Pass(source=source, splits=splits)


def cached_splits(tier: TierChoice, plans: Mapping[str, ShardPlan], *, row_bytes: int, memory_bytes: int) -> list[str]:
    """The splits that workers keep: all when sharded; when streaming, those beside train if their memory holds them."""
    if tier.tier == "sharded":
        return list(plans)
    beside = [split for split in plans if split != "train"]
    return beside if sum(plans[split].rows for split in beside) * row_bytes <= memory_bytes else []


def spill_notices(spilled: int) -> list[str]:
    """What to tell of that many bytes that the object store has written to disk for want of room."""
    if spilled <= 0:
        return []
    return [
        f"{formatting.size(spilled)} of rows were spilled from Ray's object store to disk, which slows reading;"
        " a larger object store (ray start --object-store-memory) or data.cache=streaming helps"
    ]
