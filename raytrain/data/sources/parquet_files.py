"""Reads parquet with Ray Data's own reader, which splits large files, where all files have the same types.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.data
from pyarrow import parquet
from ray.data.datasource.partitioning import Partitioning, PartitionStyle

from raytrain.data.columns.logical_columns import cast_column
from raytrain.data.sources.file_reading import Format, files_dataset, read_head
from raytrain.data.sources.listing import Listing, Size
from raytrain.spec.peek.parquet_footer import read_footer
from raytrain.spec.peek.unify_schemas import unify_schemas

_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Footers:
    """What the footers of all files tell.

    Attributes:
        schema: the one of all files, where their types differ.
    """

    size: Size
    schema: pa.Schema | None = None


def parquet_dataset(listing: Listing, schema: pa.Schema | None = None) -> ray.data.Dataset:
    """The rows of the files, in order.

    Args:
        schema: that their columns are cast to; Ray's reader would take the first file's for all.
    """
    kinds = {name: value.type for values in listing.partitions for name, value in values.items()}
    has_gaps = any(not value.is_valid for values in listing.partitions for value in values.values())
    if schema is not None or has_gaps or pa.float64() in kinds.values():  # Ray's reader has whole numbers and text only
        return files_dataset(listing, parquet_format(schema))
    whole = {name: int for name, kind in kinds.items() if kind == pa.int64()}
    return ray.data.read_parquet(
        list(listing.paths),
        filesystem=listing.filesystem,
        partitioning=Partitioning(PartitionStyle.HIVE, field_types=whole),
        file_extensions=None,
    )


def parquet_format(schema: pa.Schema | None = None) -> Format:
    """How the files are read without Ray's reader. `schema`: that their columns are cast to, where types differ."""
    return Format(kind="parquet", decode=decode_parquet if schema is None else DecodeParquet(schema=schema))


def read_footers(listing: Listing) -> Footers:
    """What the footers of all files tell.

    Raises:
        SpecError: a file is no parquet, has other columns than the first, or types that do not fit.
    """
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        footers = list(
            pool.map(lambda path: read_head(read_footer, listing.filesystem, path, "parquet"), listing.paths)
        )
    merged = unify_schemas([footer.schema for footer in footers], listing.paths)
    agree = all(
        footer.schema.field(name).type == merged.field(name).type for footer in footers for name in merged.names
    )
    size = Size(rows=tuple(footer.rows for footer in footers), bytes=sum(footer.bytes for footer in footers))
    return Footers(size=size, schema=None if agree else merged)


def decode_parquet(filesystem: Any, path: str) -> Iterator[pa.Table]:
    """One file's rows: how a corrupt page is traced to its file, which Ray Data's reader does not name."""
    with filesystem.open_input_file(path) as file:
        for batch in parquet.ParquetFile(file).iter_batches():
            yield pa.Table.from_batches([batch])


@dataclass(frozen=True, kw_only=True)
class DecodeParquet:
    """One file's rows in the types of all files together."""

    schema: pa.Schema

    def __call__(self, filesystem: Any, path: str) -> Iterator[pa.Table]:
        names = self.schema.names
        for table in decode_parquet(filesystem, path):
            yield pa.table({name: cast_column(table.column(name), self.schema.field(name).type) for name in names})
