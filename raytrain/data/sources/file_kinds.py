"""How the files of each kind of source are read, as far as the first file and the spec tell.

Runs in: the driver.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from raytrain.data.sources.csv_files import DecodeCsv, csv_columns, csv_schema
from raytrain.data.sources.file_reading import Decode, Format
from raytrain.data.sources.image_files import DecodeImage, decoder_of_folders
from raytrain.data.sources.json_lines import decode_json, json_columns, json_schema
from raytrain.data.sources.listing import Listing, Size, list_files
from raytrain.data.sources.numpy_files import DecodeColumns, Header, decode_numpy, numpy_headers
from raytrain.data.sources.text_files import decode_text
from raytrain.data.sources.tfrecord_files import DecodeTfrecords, tfrecord_columns
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.file_errors import reason_of
from raytrain.spec.peek.unify_schemas import check_same_columns
from raytrain.spec.source_kinds import Source

FILE_KINDS = ("csv", "parquet", "json", "numpy", "images", "tfrecords", "text")

_SCHEMAS = {"csv": csv_schema, "json": json_schema}
_FILES_AT_ONCE = 16
# How much larger a gzip file's rows are taken to be: rather too much, as memory that is short ends the job.
_GZIP_FACTOR = 5
_COLUMNS = {"csv": csv_columns, "json": json_columns, "numpy": numpy_headers, "tfrecords": tfrecord_columns}


def listing_of(source: Source, folder: Path, field: str) -> Listing:
    """All files of a source. Of a numpy source with a file for each column, the first stands for all."""
    if isinstance(source.numpy, dict):
        return numpy_column_listing(source.numpy, folder, field).take([0])
    names = source.details.path if source.images else source.value
    return list_files(names, folder, kind=source.kind, field=field)


def numpy_column_listing(columns: dict[str, str], folder: Path, field: str) -> Listing:
    """The file of each column, in order."""
    listing = list_files(list(columns.values()), folder, kind="numpy", field=field, repeats=True)
    if len(listing.paths) != len(columns):
        got, expected = f"{len(listing.paths)} files for {len(columns)} columns", "one .npy for each column"
        raise UserCodeError(Problem(field=field, got=got, expected=expected))
    return listing


def format_of(
    source: Source, listing: Listing, folder: Path, field: str, told: Mapping[str, ColumnSpec] | None = None
) -> Format:
    """How the listed files are read.

    Args:
        told: what the spec says of columns.

    Raises:
        UserCodeError: the first file has no columns, or cannot be read.
    """
    if source.text:
        return Format(kind="text", decode=decode_text)
    if source.images:
        return Format(kind="images", decode=decoder_of_folders(source.details, listing, folder))
    if isinstance(source.numpy, dict):
        paths = numpy_column_listing(source.numpy, folder, field).paths
        return Format(kind="numpy", decode=DecodeColumns(dict(zip(source.numpy, paths, strict=True))))
    kind = source.kind
    try:
        columns = _COLUMNS[kind](listing.filesystem, listing.paths[0])
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        problem = Problem(file=listing.paths[0], got=reason_of(error), expected=f"a {kind} file")
        raise UserCodeError(problem) from error
    more = kind in ("json", "tfrecords")
    schema = _schema_of(listing, kind) if kind in _SCHEMAS and len(listing.paths) > 1 else None
    return Format(kind=kind, decode=_decoder(kind, told or {}), columns=tuple(columns), more=more, schema=schema)


def _decoder(kind: str, told: Mapping[str, ColumnSpec]) -> Decode:
    match kind:
        case "csv":
            return DecodeCsv(
                frozenset(name for name, column in told.items() if (column.dtype or "").startswith("float"))
            )
        case "tfrecords":
            return DecodeTfrecords(frozenset(name for name, column in told.items() if column.pad))
        case "json":
            return decode_json
        case _:
            return decode_numpy


def _schema_of(listing: Listing, kind: str) -> pa.Schema | None:
    """What the beginnings of all files tell of their types; None where they do not fit, which reading them tells."""
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        try:
            schemas = list(pool.map(partial(_SCHEMAS[kind], listing.filesystem), listing.paths))
            return pa.unify_schemas(schemas, promote_options="permissive")
        except (OSError, pa.ArrowException):
            return None


def size_of(source: Source, listing: Listing, form: Format, folder: Path, field: str) -> Size:
    """What headers tell of the listed files; of csv, json, tfrecords and text only the bytes on disk, unpacked."""
    if isinstance(form.decode, DecodeImage):
        count = len(listing.paths)
        return Size(rows=(1,) * count, bytes=count * form.decode.pixels.bytes)
    if not source.numpy:
        sizes = zip(listing.paths, listing.sizes, strict=True)
        unpacked = sum(size * _GZIP_FACTOR if path.lower().endswith(".gz") else size for path, size in sizes)
        return Size(rows=None, bytes=unpacked)
    by_column = isinstance(source.numpy, dict)
    if isinstance(source.numpy, dict):
        listing = numpy_column_listing(source.numpy, folder, field)
    found = [_numpy_headers(listing.filesystem, path) for path in listing.paths]
    if not by_column:
        for path, headers in zip(listing.paths, found, strict=True):
            _check_shapes(headers, path, found[0])
    rows = tuple(next(iter(headers.values())).shape[0] for headers in (found[:1] if by_column else found))
    return Size(rows=rows, bytes=sum(header.bytes for headers in found for header in headers.values()))


def _numpy_headers(filesystem: Any, path: str) -> dict[str, Header]:
    try:
        return numpy_headers(filesystem, path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserCodeError(Problem(file=path, got=reason_of(error), expected="a numpy file")) from error


def _check_shapes(headers: dict[str, Header], path: str, first: dict[str, Header]) -> None:
    check_same_columns(list(headers), path, list(first), "the source's first file")
    for name, header in headers.items():
        expected = first[name]
        if header.shape[1:] != expected.shape[1:] or (header.dtype != expected.dtype and len(header.shape) > 1):
            got = f"rows of shape {header.shape[1:]} and type {header.dtype} in `{name}`"
            wanted = f"{expected.shape[1:]} and {expected.dtype}, as in the source's first file"
            raise UserCodeError(Problem(file=path, got=got, expected=wanted))
