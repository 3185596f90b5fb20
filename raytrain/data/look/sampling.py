"""The first rows of a source, read in this process alone.

Runs in: a child process of the client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from ray.data import Datasource

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources.file_kinds import format_of, listing_of
from raytrain.data.sources.file_reading import Format, file_tables
from raytrain.data.sources.image_files import images_of_table
from raytrain.data.sources.listing import Listing
from raytrain.data.sources.parquet_files import DecodeParquet, decode_parquet, read_footers
from raytrain.data.sources.read_source import has_files, rows_in_memory
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.source_kinds import Source

_BYTES = 256 << 20


def first_rows(
    source: Source, folder: Path, field: str, options: Mapping[str, ColumnSpec], *, most: int
) -> tuple[pa.Table, bool]:
    """At most so many rows, and whether these are all.

    Args:
        field: where the source stands in the spec, for error messages.
        options: what the spec says of columns.
    """
    taken: list[pa.Table] = []
    rows = size = 0
    for table in _tables(source, folder, field, options, most):
        if rows + table.num_rows > most or (taken and size + table.nbytes > _BYTES):
            return join_tables([*taken, table.slice(0, most - rows)] if size + table.nbytes <= _BYTES else taken), False
        taken.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
    return join_tables(taken), True


def _tables(
    source: Source, folder: Path, field: str, options: Mapping[str, ColumnSpec], most: int
) -> Iterator[pa.Table]:
    if has_files(source):
        listing_field = f"{field}.{source.kind}"
        listing = listing_of(source, folder, listing_field)
        form = _parquet(listing) if source.parquet else format_of(source, listing, folder, listing_field, options)
        yield from file_tables(listing, form)
    elif source.images:
        table = source.details.table
        names, _ = first_rows(Source.model_validate({table.kind: table.value}), folder, f"{field}.table", {}, most=most)
        yield from _read(images_of_table(names, source.details, folder, field))
    else:
        rows = rows_in_memory(source, folder, f"{field}.{source.kind}")
        yield from [rows] if isinstance(rows, pa.Table) else _first_of(rows, most)


def _parquet(listing: Listing) -> Format:
    schema = read_footers(listing).schema
    return Format(kind="parquet", decode=decode_parquet if schema is None else DecodeParquet(schema=schema))


def _read(datasource: Datasource) -> Iterator[pa.Table]:
    for task in datasource.get_read_tasks(1):
        yield from task()


def _first_of(dataset: Any, most: int) -> Iterator[pa.Table]:
    """Of a Ray Dataset, which Ray reads in processes of its own; one row more tells that there are others."""
    yield from dataset.limit(most + 1).iter_batches(batch_size=None, batch_format="pyarrow")
