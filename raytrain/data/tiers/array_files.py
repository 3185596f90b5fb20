"""Rows that a live process has handed over as arrays: every worker maps their files, and no Ray Data is needed.

Runs in: the driver; `ArrayShards` is fetched in every Train worker.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from raytrain.data.array_folder import read_arrays
from raytrain.data.pipeline import Pipeline
from raytrain.data.tiers.dealt import ignore
from raytrain.data.tiers.readers import InMemory, Reader
from raytrain.data.tiers.tier_datasets import Dataset
from raytrain.errors import SpecError
from raytrain.run.object_store import ObjectStore, is_object_store, split
from raytrain.spec.checks import SPLITS, check_counts
from raytrain.spec.job import JobSpec
from raytrain.spec.shards import SplitCounts
from raytrain.spec.source_kinds import Source
from raytrain.spec.tier_choice import TierChoice


def array_dataset(spec: JobSpec, folder: Path) -> Dataset:
    """The job's rows, of which only the index is read.

    Raises:
        UserCodeError: the driver does not see them.
        SpecError: they do not fit the batch or the workers.
    """
    sources = {part: source for part in SPLITS if isinstance(source := getattr(spec.data, part), Source)}
    shards = ArrayShards(folders={part: str(source.arrays) for part, source in sources.items()})
    rows = {part: reader.rows for part, reader in shards.fetch(0).items()}
    counts = SplitCounts(**{part: rows.get(part, 0) for part in SPLITS})
    problems = check_counts(spec, counts)
    if problems:
        raise SpecError(*problems)
    tier = TierChoice(tier="shared", why="the arrays' files are mapped by every worker")
    return ArrayDataset(spec=spec, counts=counts, tier=tier, pipeline=Pipeline(spec, folder), shards=shards)


@dataclass(frozen=True, kw_only=True)
class ArrayShards:
    """`folders`: for each split, where its arrays are."""

    folders: Mapping[str, str]

    def fetch(
        self, rank: int, loaded: Callable[[int], None] = ignore, arrived: Callable[[], None] = ignore
    ) -> dict[str, Reader]:
        return {part: InMemory(read_arrays(_local(folder))) for part, folder in self.folders.items()}


@dataclass(frozen=True, kw_only=True)
class ArrayDataset(Dataset):
    """All rows in files. `shards`: what every worker group reads them from."""

    shards: ArrayShards

    @contextlib.contextmanager
    def serve(
        self, *, workers: int | None = None, notice: Callable[[str], None] | None = None
    ) -> Iterator[ArrayShards]:
        yield self.shards


def _local(folder: str) -> Path:
    """The folder; of one in an object store a copy of this process's own."""
    if not is_object_store(folder):
        return Path(folder)
    copy = Path(tempfile.mkdtemp(prefix="raytrain-arrays-"))
    parent, name = split(folder)
    ObjectStore(parent).pull_folder(name, copy)
    return copy
