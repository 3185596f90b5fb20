"""A source of rows and what is known of it before they are read.

Runs in: the driver.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import ray
from ray.data.block import BlockAccessor

from raytrain.data.blocks import stored_rows
from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources import Read, explain, read_source, rows_per_file
from raytrain.data.sources.file_reading import merged
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.image_folders import pixel_bytes
from raytrain.spec.source_kinds import Source

EXAMPLE_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class LazySource:
    """A source and what is known of it before its rows are read."""

    source: Source
    folder: Path
    part: str
    options: Mapping[str, ColumnSpec]
    read: Read

    @classmethod
    def of(cls, source: Source, folder: Path, part: str, options: Mapping[str, ColumnSpec]) -> LazySource:
        read = read_source(source, folder, field=f"data.{part}", options=options)
        return cls(source=source, folder=folder, part=part, options=options, read=read)

    @property
    def field(self) -> str:
        return f"data.{self.part}.{self.source.kind}"

    def explain(self, error: Exception) -> Exception:
        return explain(error, self.source, self.folder, f"data.{self.part}")

    def estimate_bytes(self) -> int:
        """What the rows take in memory, images in cells as the pixels that `options` makes of them."""
        known = self.read.bytes
        pixels = sum(
            math.prod(column.size) * pixel_bytes(column.mode) for column in self.options.values() if column.size
        )
        if known is not None and not pixels:
            return known
        first = self.table(rows=EXAMPLE_ROWS)
        row_bytes: int = max(1, first.nbytes // first.num_rows)
        if known is None:
            return self.rows() * max(row_bytes, pixels)
        rows = known // row_bytes if self.read.rows is None else self.read.rows
        return max(known, rows * pixels)

    def rows_per_file(self) -> tuple[int, ...]:
        """Of each file, if there are any; names the first that does not fit those before it."""
        return rows_per_file(self.source, self.folder, field=f"data.{self.part}", options=self.options)

    def rows(self) -> int:
        """How many rows; reads them if no metadata tells."""
        if self.read.rows is not None:
            return self.read.rows
        try:
            counted: int = self.read.dataset.count()
            return counted
        except Exception as error:
            raise self.explain(error) from error

    def table(self, *, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The rows, or the first ones, in the driver's memory."""
        tables = self._tables_here(rows)
        if tables is None:
            dataset = self.read.dataset if columns is None else self.read.dataset.select_columns(list(columns))
            tables = list(self._tables(dataset if rows is None else dataset.limit(rows)))
        elif columns is not None:
            tables = [table.select(list(columns)) for table in tables]
        with self.naming_files():
            table = join_tables(tables)
        if table.num_rows == 0:
            raise UserCodeError(Problem(field=self.field, got="no rows", expected="at least one row"))
        return table

    @contextlib.contextmanager
    def naming_files(self) -> Iterator[None]:
        """Around what joins tables: names the file whose types do not fit those before it."""
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            self.rows_per_file()
            raise self.explain(error) from error

    def tables(self) -> Iterator[pa.Table]:
        """All rows, a block at a time."""
        return self._tables(self.read.dataset) if self.read.table is None else iter([self.read.table])

    def columns(self, wanted: Callable[[list[str]], list[str]]) -> list[str]:
        """The columns that are wanted of those that the source has."""
        first = self._tables_here(1)
        if first is not None:
            return wanted(first[0].column_names if first else [])
        try:
            offered = self.read.dataset.columns() or []
        except Exception as error:
            raise self.explain(error) from error
        return wanted(offered)

    def dataset(self, columns: list[str], order: Sequence[int] | None) -> ray.data.Dataset:
        """These columns, the files in the order given."""
        read = self.read
        if order is not None:
            files = [self.read.files[file] for file in order]
            field = f"data.{self.part}"
            read = read_source(
                self.source, self.folder, field=field, files=files, schema=read.schema, options=self.options
            )
        return read.dataset.select_columns(columns)

    def _tables_here(self, rows: int | None) -> list[pa.Table] | None:
        """The rows, or the first ones, without Ray Data; None where that would take long."""
        if self.read.table is not None:
            return [self.read.table.slice(0, rows)]
        if self.read.here is None:
            return None
        found: list[pa.Table] = []
        try:
            for table in merged(self.read.here()) if rows is None else self.read.here():
                missing = None if rows is None else rows - sum(part.num_rows for part in found)
                if missing == 0:
                    break
                found.append(table.slice(0, missing))
        except Exception as error:
            raise self.explain(error) from error
        return found

    def _tables(self, dataset: ray.data.Dataset) -> Iterator[pa.Table]:
        try:
            for block in stored_rows(dataset):
                yield (
                    BlockAccessor.for_block(ray.get(block.ref)).to_arrow().slice(block.first, block.stop - block.first)
                )
        except Exception as error:
            raise self.explain(error) from error
