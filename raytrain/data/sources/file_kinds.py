"""How the files of each kind of source are read, as far as the first file and the spec tell.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from raytrain.data.sources.csv_files import DecodeCsv, csv_schema
from raytrain.data.sources.file_reading import Decode, Format, read_head
from raytrain.data.sources.image_files import DecodeImage, decoder_of_folders
from raytrain.data.sources.json_lines import check_has_rows, decode_json, json_schema
from raytrain.data.sources.listing import Listing, Size, list_files
from raytrain.data.sources.numpy_files import DecodeColumns, column_headers, decode_numpy
from raytrain.data.sources.text_files import decode_text
from raytrain.data.sources.tfrecord_files import DecodeTfrecords, tfrecord_columns
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.csv_header import read_csv_header
from raytrain.spec.peek.numpy_headers import array_headers, check_same_arrays
from raytrain.spec.source_kinds import Source

FILE_KINDS = ("csv", "parquet", "json", "numpy", "images", "tfrecords", "text")

_FILES_AT_ONCE = 16
# How much larger a gzip file's rows are taken to be: rather too much, as memory that is short ends the job.
_GZIP_FACTOR = 5
_COLUMNS: dict[str, Callable[[BinaryIO, str], tuple[str, ...] | None]] = {
    "numpy": lambda stream, path: tuple(array_headers(stream, path)),
    "tfrecords": tfrecord_columns,
}


def listing_of(source: Source, folder: Path, field: str) -> Listing:
    """All files of a source. Of a numpy source with a file for each column, the first stands for all."""
    if isinstance(source.numpy, dict):
        return numpy_column_listing(source.numpy, folder, field).take([0])
    return list_files(source.paths, folder, kind=source.kind, field=field)


def numpy_column_listing(columns: dict[str, str], folder: Path, field: str) -> Listing:
    """The file of each column, in order."""
    listing = list_files(list(columns.values()), folder, kind="numpy", field=field, repeats=True)
    if len(listing.paths) != len(columns):
        got, expected = f"{len(listing.paths)} files for {len(columns)} columns", "one .npy for each column"
        raise UserCodeError(Problem(field=field, got=got, expected=expected))
    return listing


def format_of(
    source: Source, listing: Listing, folder: Path, field: str, options: Mapping[str, ColumnSpec] | None = None
) -> Format:
    """How the listed files are read.

    Args:
        options: what the spec says of columns.

    Raises:
        SpecError: the first file has no columns, or cannot be read.
    """
    if source.text:
        return Format(kind="text", decode=decode_text)
    if source.images:
        return Format(kind="images", decode=decoder_of_folders(source.details, listing, folder))
    if isinstance(source.numpy, dict):
        paths = numpy_column_listing(source.numpy, folder, field).paths
        return Format(kind="numpy", decode=DecodeColumns(dict(zip(source.numpy, paths, strict=True))))
    kind = source.kind
    columns, more = _columns(listing, source), kind in ("json", "tfrecords")
    schema = _schema_of(listing, source) if kind in ("csv", "json") and len(listing.paths) > 1 else None
    return Format(kind=kind, decode=_decoder(source, options or {}), columns=columns, more=more, schema=schema)


def _columns(listing: Listing, source: Source) -> tuple[str, ...]:
    """Of the first file that has a row to tell them."""
    kind = source.kind
    if source.csv:
        read = partial(read_csv_header, form=source.details)
        return read_head(read, listing.filesystem, listing.paths[0], kind).columns
    if source.json:
        check_has_rows(listing)
        return ()  # a row, and a file, may lack any
    heads = (read_head(_COLUMNS[kind], listing.filesystem, path, kind) for path in listing.paths)
    return next((head for head in heads if head is not None), None) or ()


def _decoder(source: Source, options: Mapping[str, ColumnSpec]) -> Decode:
    if source.csv:
        fractions = [name for name, column in options.items() if (column.dtype or "").startswith("float")]
        return DecodeCsv(form=source.details, fractions=frozenset(fractions))
    if source.tfrecords:
        return DecodeTfrecords(frozenset(name for name, column in options.items() if column.pad))
    return decode_json if source.json else decode_numpy


def _schema_of(listing: Listing, source: Source) -> pa.Schema | None:
    """What the beginnings of all files tell of their types; None where they do not fit, which reading them tells."""
    read = partial(csv_schema, source.details) if source.csv else json_schema
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        try:
            schemas = list(pool.map(partial(read, listing.filesystem), listing.paths))
            return pa.unify_schemas(schemas, promote_options="permissive")
        except (OSError, pa.ArrowException):
            return None


def size_of(listing: Listing, form: Format) -> Size:
    """What headers tell of the listed files; of csv, json, tfrecords and text only the bytes on disk, unpacked."""
    if isinstance(form.decode, DecodeImage):
        count = len(listing.paths)
        return Size(rows=(1,) * count, bytes=count * form.decode.pixels.bytes)
    if form.kind != "numpy":
        sizes = zip(listing.paths, listing.sizes, strict=True)
        unpacked = sum(size * _GZIP_FACTOR if path.lower().endswith(".gz") else size for path, size in sizes)
        return Size(rows=None, bytes=unpacked)
    if isinstance(form.decode, DecodeColumns):
        columns = column_headers(listing.filesystem, form.decode.paths).values()
        return Size(rows=(next(iter(columns)).shape[0],), bytes=sum(header.bytes for header in columns))
    found = [read_head(array_headers, listing.filesystem, path, "numpy") for path in listing.paths]
    for path, headers in zip(listing.paths, found, strict=True):
        check_same_arrays(headers, path, found[0], "the source's first file")
    rows = tuple(next(iter(headers.values())).shape[0] for headers in found)
    return Size(rows=rows, bytes=sum(header.bytes for headers in found for header in headers.values()))
