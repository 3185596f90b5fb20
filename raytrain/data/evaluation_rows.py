"""The rows that a run's model is held against, packed as for training, as blocks in their source's order.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
import ray.data

from raytrain.data.blocks import stored_rows
from raytrain.data.lazy_source import EXAMPLE_ROWS, LazySource
from raytrain.data.packed import Arrays, bytes_per_row, to_block
from raytrain.data.pipeline import Pipeline
from raytrain.data.sources import number_classes_alike
from raytrain.data.splits import Splitter, key_columns, make_splitter, read_key
from raytrain.errors import Problem, UsageError, UserCodeError
from raytrain.spec.checks import SPLITS
from raytrain.spec.job import JobSpec
from raytrain.spec.source_kinds import Source

BY = "by"
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class EvaluatedBlock:
    """A block in the object store and the places of its rows that count.

    Attributes:
        groups: of each of those rows, the value of the column that rows are grouped by; None without one.
    """

    ref: ray.ObjectRef
    rows: npt.NDArray[np.int64]
    groups: list[Any] | None


@dataclass(frozen=True, kw_only=True)
class EvaluationRows:
    """The rows of a split of the run, or of another source.

    Attributes:
        splitter: of the run's train source, where `split` is a part of that; None where all rows count.
        example: a few rows, packed, as all must be.
    """

    lazy: LazySource
    pipeline: Pipeline
    split: str
    splitter: Splitter | None
    example: Arrays
    by: str | None

    @classmethod
    def of(
        cls, spec: JobSpec, pipeline: Pipeline, folder: Path, *, split: str, data: Source | None, by: str | None
    ) -> EvaluationRows:
        """What is to be evaluated, of which no more is read than a split needs.

        Raises:
            UserCodeError: the rows cannot be read, or do not fit the pipeline.
            UsageError: there is no column `by`.
        """
        sources = _sources(spec, folder, data)
        part = "rows" if data is not None else split if split in sources else "train"
        lazy = LazySource.of(sources[part], folder, part, spec.data.columns)
        splitter = None
        if part == "train":
            keys = key_columns(spec.data)
            key = read_key(lazy.table(columns=keys), spec.data) if keys else None
            splitter = make_splitter(spec, lazy.rows(), key)
        first = lazy.table(rows=EXAMPLE_ROWS)
        if by is not None and by not in first.column_names:
            offered = ", ".join(first.column_names)
            raise UsageError(Problem(field="--by", got=f"column `{by}`", expected=f"one of {offered}"))
        return cls(lazy=lazy, pipeline=pipeline, split=split, splitter=splitter, example=pipeline.apply(first), by=by)

    @property
    def count(self) -> int | None:
        """How many rows count, where that is known before all are read."""
        return self.lazy.read.rows if self.splitter is None else int(getattr(self.splitter.counts, self.split))

    @property
    def about(self) -> int:
        """How many rows there may be."""
        known = self.count
        return known if known is not None else max(1, (self.lazy.read.bytes or 0) // bytes_per_row(self.example))

    def blocks(self) -> Iterator[EvaluatedBlock]:
        """All rows, once, in their source's order.

        Raises:
            UserCodeError: they cannot be read or packed, or are others than were counted.
        """
        dataset = self.lazy.read.dataset
        dataset.context.enable_progress_bars = False
        dataset.context.execution_options.preserve_order = True
        dataset.context.target_max_block_size = _BLOCK_BYTES
        dataset.context.raise_original_map_exception = True
        packed = dataset.map_batches(
            _PackForEvaluation(self.pipeline, self.example, self.by),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
        )
        at, counted = 0, 0
        try:
            for block in stored_rows(packed):
                rows = np.arange(block.first, block.stop)
                if self.splitter is not None:
                    marks = self.splitter.of(at, at + len(rows))
                    rows = rows[marks == SPLITS.index(self.split)] if len(marks) == len(rows) else rows[:0]
                at += block.stop - block.first
                counted += len(rows)
                if len(rows):
                    yield EvaluatedBlock(ref=block.ref, rows=rows, groups=self._groups(block.ref, rows))
        except Exception as error:
            raise self.lazy.explain(error) from error
        if self.count is not None and counted != self.count:
            got, expected = f"{counted} rows", f"{self.count}, as were counted before"
            fix = "leave the source alone while it is read; a function must give the same rows each time"
            raise UserCodeError(Problem(field=self.lazy.field, got=got, expected=expected, fix=fix))

    def _groups(self, ref: ray.ObjectRef, rows: npt.NDArray[np.int64]) -> list[Any] | None:
        if self.by is None:
            return None
        found: list[Any] = ray.get(ref).column(BY).take(pa.array(rows)).to_pylist()
        return found


def _sources(spec: JobSpec, folder: Path, data: Source | None) -> Mapping[str, Source]:
    """The run's sources and the one asked for, with their classes of images numbered alike."""
    named = {part: source for part in SPLITS if isinstance(source := getattr(spec.data, part), Source)}
    if data is None:
        return number_classes_alike(named, folder)
    if data.images is None:
        return {"rows": data}
    return number_classes_alike({"train": named["train"], "rows": data}, folder)


class _PackForEvaluation:
    def __init__(self, pipeline: Pipeline, example: Arrays, by: str | None) -> None:
        self._pipeline, self._example, self._by = pipeline, example, by

    def __call__(self, table: pa.Table) -> pa.Table:
        block = to_block(self._pipeline.apply(table), self._example)
        return block if self._by is None else block.append_column(BY, table.column(self._by))
