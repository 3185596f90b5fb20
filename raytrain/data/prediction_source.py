"""A source of rows to be answered, ready to be cut into chunks.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from raytrain.data.blocks import stored_rows
from raytrain.data.lazy_source import EXAMPLE_ROWS, LazySource
from raytrain.data.prediction_chunks import FileUnit, StoredUnit, Unit, file_units
from raytrain.data.sources.file_kinds import format_of, listing_of
from raytrain.data.sources.file_reading import Format
from raytrain.data.sources.listing import Listing
from raytrain.data.sources.parquet_files import DecodeParquet, decode_parquet
from raytrain.data.sources.read_source import has_files
from raytrain.errors import UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.source_kinds import Source


@dataclass(frozen=True, kw_only=True)
class PredictionSource:
    """A source's units, and what is known of its rows.

    Attributes:
        source: its first rows and its errors in words.
        first_rows: a few, which have all columns.
        rows: how many, where metadata tells.
        fingerprint: alike for the same files, or stored rows, and for no others.
    """

    source: LazySource
    units: Sequence[Unit]
    first_rows: pa.Table
    rows: int | None
    fingerprint: list[str]

    @property
    def about_rows(self) -> int:
        """How many there may be: of text, what its bytes come to."""
        if self.rows is not None:
            return self.rows
        row_bytes: int = max(1, self.first_rows.nbytes // self.first_rows.num_rows)
        return max(int(self.first_rows.num_rows), sum(unit.bytes for unit in self.units) // row_bytes)


def open_prediction_source(
    source: Source, folder: Path, part: str, options: Mapping[str, ColumnSpec]
) -> PredictionSource:
    """Lists the source's files, or stores its rows where it has none.

    Raises:
        UserCodeError: it is missing, empty or cannot be read.
    """
    lazy = LazySource.of(source, folder, part, options)
    first = lazy.table(rows=EXAMPLE_ROWS)
    units = _units(lazy, folder, options)
    rows = lazy.read.rows
    if rows is None and isinstance(units[0], StoredUnit):
        rows = sum(stored.stop - stored.first for stored in units[0].rows)
    return PredictionSource(
        source=lazy, units=units, first_rows=first, rows=rows, fingerprint=_fingerprint(units, rows)
    )


def _units(lazy: LazySource, folder: Path, options: Mapping[str, ColumnSpec]) -> Sequence[Unit]:
    source, field = lazy.source, lazy.field
    if not has_files(source):
        try:
            stored = tuple(stored_rows(lazy.read.dataset))
        except Exception as error:
            raise lazy.explain(error) from error
        return [StoredUnit(number=0, name=source.kind, rows=stored)]
    listing = listing_of(source, folder, field)
    if source.parquet:
        schema = lazy.read.schema
        decode = decode_parquet if schema is None else DecodeParquet(schema=schema)
        return file_units(listing, Format(kind="parquet", decode=decode))
    return file_units(listing, format_of(source, listing, folder, field, options))


def _fingerprint(units: Sequence[Unit], rows: int | None) -> list[str]:
    files = [unit.files for unit in units if isinstance(unit, FileUnit)]
    return [line for listing in files for line in _versions(listing)] or [f"{rows} rows"]


def _versions(listing: Listing) -> list[str]:
    try:
        infos = listing.filesystem.get_file_info(list(listing.paths))
    except OSError as error:
        raise UserCodeError(message=str(error)) from error
    return [f"{name} {info.size} {info.mtime_ns}" for name, info in zip(listing.names, infos, strict=True)]
