"""Reads parquet with Ray Data's own reader, which splits large files; footers are checked against the first file's.

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

from raytrain.driver.sources.listing import Listing, Size
from raytrain.driver.sources.reasons import reason_of
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.schemas import unify_schemas

_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class _Footer:
    """What a file's end tells: its rows, the bytes of its columns unpacked, and their types."""

    rows: int
    bytes: int
    schema: pa.Schema


def parquet_dataset(listing: Listing) -> ray.data.Dataset:
    whole = {name: int for values in listing.partitions for name, value in values.items() if isinstance(value, int)}
    return ray.data.read_parquet(
        list(listing.paths),
        filesystem=listing.filesystem,
        partitioning=Partitioning(PartitionStyle.HIVE, field_types=whole),
        file_extensions=None,
    )


def read_footers(listing: Listing) -> Size:
    """What the footers of all files tell.

    Raises:
        UserCodeError: a file is no parquet, or has other columns than the first.
    """
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        footers = list(pool.map(lambda path: _footer(listing.filesystem, path), listing.paths))
    unify_schemas([footer.schema for footer in footers], listing.paths)
    return Size(rows=tuple(footer.rows for footer in footers), bytes=sum(footer.bytes for footer in footers))


def _footer(filesystem: Any, path: str) -> _Footer:
    try:
        with filesystem.open_input_file(path) as file:
            metadata = parquet.read_metadata(file)
            groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
            return _Footer(
                rows=metadata.num_rows,
                bytes=sum(group.total_byte_size for group in groups),
                schema=metadata.schema.to_arrow_schema(),
            )
    except (OSError, pa.ArrowException) as error:
        raise UserCodeError(Problem(file=path, got=reason_of(error), expected="a parquet file")) from error


def decode_parquet(filesystem: Any, path: str) -> Iterator[pa.Table]:
    """One file's rows: how a corrupt page is traced to its file, which Ray Data's reader does not name."""
    with filesystem.open_input_file(path) as file:
        for batch in parquet.ParquetFile(file).iter_batches():
            yield pa.Table.from_batches([batch])
