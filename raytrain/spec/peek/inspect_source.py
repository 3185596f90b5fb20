"""What the client can know of a source before submission: its rows, its columns and its size."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from raytrain.errors import Problem, SpecError
from raytrain.file_systems import is_uri
from raytrain.spec.csv_source import CsvSource
from raytrain.spec.file_errors import reading
from raytrain.spec.peek.array_index import INDEX_FILE, read_index
from raytrain.spec.peek.csv_header import count_csv_rows, numbers_rows, read_csv_header
from raytrain.spec.peek.image_folders import classes_of, pixel_bytes
from raytrain.spec.peek.image_header import check_size, image_size
from raytrain.spec.peek.json_rows import count_json_rows, json_columns, no_json_rows
from raytrain.spec.peek.named_files import PACKED, check_inside, find_files, partitions_of, shown_path
from raytrain.spec.peek.numpy_headers import array_headers, check_same_arrays, check_same_rows, column_header
from raytrain.spec.peek.parquet_footer import read_footer
from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS
from raytrain.spec.peek.text_lines import read_lines
from raytrain.spec.peek.tfrecord_framing import read_records
from raytrain.spec.peek.unify_schemas import check_same_columns, unify_schemas
from raytrain.spec.source_kinds import ImagesSource, Source

# Past this much text the client does not count rows, and past so many images it does not compare their sizes: the
# driver, which reads them anyway, does.
COUNT_UP_TO_BYTES = 512 << 20
COMPARE_UP_TO_IMAGES = 10_000

_Told = TypeVar("_Told")


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """Rows, column names and estimated bytes in memory; None where only the cluster can tell."""

    rows: int | None
    columns: tuple[str, ...] | None
    bytes: int | None = None


_UNKNOWN = SourceFacts(rows=None, columns=None)


def inspect_source(source: Source, folder: Path, *, count: bool = True) -> SourceFacts:
    """Rows, columns and bytes of a source, read from headers and metadata; text is counted in one pass.

    Args:
        count: false leaves out what takes reading whole files.

    Raises:
        SpecError: a file that is missing, empty or unlike the others; its problems name the data file and line where
            there is one.
    """
    match source.kind:
        case "sklearn":
            known = SKLEARN_SETS[source.value]
            return SourceFacts(rows=known.rows, columns=known.columns, bytes=8 * known.rows * 2 * len(known.features))
        case "inline":
            return _inspect_inline(source)
        case "images":
            return _inspect_images(source.details, folder, count=count)
        case "delta" | "lance":
            path = source.details.path
            if not is_uri(path) and not Path(path).is_absolute() and (problem := check_inside(path, folder)):
                raise SpecError(problem)
            return _UNKNOWN
        case "arrays":
            return _UNKNOWN if is_uri(source.value) else _inspect_arrays(Path(source.value))
        case "python" | "sql" | "iceberg" | "huggingface":
            return _UNKNOWN
    if isinstance(source.numpy, dict):
        return _inspect_numpy_columns(source.numpy, folder)
    files = find_files(source.paths, folder, kind=source.kind)
    if source.csv and files is not None:
        return _inspect_csv(files, folder, count, source.details)
    return _UNKNOWN if files is None else _INSPECT[source.kind](files, folder, count)


def source_columns(source: Source, folder: Path) -> tuple[str, ...] | None:
    """The columns alone, without reading whole files.

    Raises:
        SpecError: as `inspect_source`.
    """
    return inspect_source(source, folder, count=False).columns


def has_row_numbers(source: Source, folder: Path) -> bool:
    """Whether the first column of a csv source's first file numbers its rows, as far as this machine can tell."""
    files = find_files(source.paths, folder, kind="csv")
    return not files or _each(partial(numbers_rows, form=source.details), files[:1], folder, "csv")[0]


def _inspect_inline(source: Source) -> SourceFacts:
    rows = source.inline
    if isinstance(rows, dict):
        count = len(next(iter(rows.values())))
        if count == 0:
            raise SpecError(Problem(got="columns without rows", expected="at least one row"))
        return SourceFacts(rows=count, columns=tuple(rows), bytes=8 * count * len(rows))
    assert rows is not None
    columns = tuple(rows[0])
    for index, row in enumerate(rows):
        if set(row) != set(columns):
            got = f"row {index} with {', '.join(row) or 'nothing'}"
            raise SpecError(
                Problem(got=got, expected=f"{', '.join(columns)}, as in row 0", fix="give every row the same columns")
            )
    return SourceFacts(rows=len(rows), columns=columns, bytes=8 * len(rows) * len(columns))


def _inspect_arrays(folder: Path) -> SourceFacts:
    try:
        index = read_index(folder)
    except OSError as error:
        expected = f"a folder that raytrain.fit has written, with its {INDEX_FILE}"
        raise SpecError(Problem(got=f"{folder}: {error.strerror}", expected=expected)) from error
    return SourceFacts(rows=index.rows, columns=tuple(index.parts), bytes=index.bytes)


def _inspect_csv(files: list[Path], folder: Path, count: bool, form: CsvSource) -> SourceFacts:
    read = partial(read_csv_header, form=form)
    columns, *others = (header.columns for header in _each(read, files, folder, "csv"))
    for file, own in zip(files[1:], others, strict=True):
        check_same_columns(own, shown_path(file, folder), columns, shown_path(files[0], folder), line=1)
    counter = partial(count_csv_rows, form=form)
    rows = sum(_each(counter, files, folder, "csv")) if _countable(files, count) else None
    return SourceFacts(rows=rows, columns=_with_partitions(columns, files, folder), bytes=_size(files))


def _inspect_json(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    """Any row may have a column that others lack, so that only all rows tell the columns."""
    if not _countable(files, count=True):
        return SourceFacts(rows=None, columns=None, bytes=_size(files))
    kinds: dict[str, str] = {}
    rows = sum(_each(partial(count_json_rows, kinds=kinds), files, folder, "json"))
    if not rows:
        raise no_json_rows(shown_path(files[0], folder))
    columns = _with_partitions(json_columns(kinds), files, folder)
    return SourceFacts(rows=rows, columns=columns, bytes=_size(files))


def _inspect_text(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    rows = sum(_each(_counter(read_lines), files, folder, "text")) if _countable(files, count) else None
    return SourceFacts(rows=rows, columns=_with_partitions(("text",), files, folder), bytes=_size(files))


def _inspect_tfrecords(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    """Files that are too large to be read whole, with all checksums, are counted by their records' lengths."""
    whole = _countable(files, count)
    counted = whole or (count and not any(file.suffix == ".gz" for file in files))
    counter = _counter(partial(read_records, skim=not whole))
    rows = sum(_each(counter, files, folder, "tfrecords")) if counted else None
    return SourceFacts(rows=rows, columns=None, bytes=_size(files))


def _inspect_parquet(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    """From the files' footers alone."""
    footers = _each(read_footer, files, folder, "parquet")
    schema = unify_schemas([footer.schema for footer in footers], [shown_path(file, folder) for file in files])
    return SourceFacts(
        rows=sum(footer.rows for footer in footers),
        columns=_with_partitions(tuple(schema.names), files, folder),
        bytes=sum(footer.bytes for footer in footers),
    )


def _inspect_numpy(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    found = _each(array_headers, files, folder, "numpy")
    for file, headers in zip(files, found, strict=True):
        check_same_arrays(headers, shown_path(file, folder), found[0], shown_path(files[0], folder))
    rows = sum(next(iter(headers.values())).shape[0] for headers in found)
    size = sum(header.bytes for headers in found for header in headers.values())
    return SourceFacts(rows=rows, columns=_with_partitions(tuple(found[0]), files, folder), bytes=size)


def _inspect_numpy_columns(columns: dict[str, str], folder: Path) -> SourceFacts:
    headers = {}
    for name, file in columns.items():
        files = find_files(file, folder, kind="numpy") or []
        if len(files) > 1:
            got = f"{len(files)} files for the column `{name}`"
            raise SpecError(Problem(got=got, expected="one .npy file for each column"))
        for header in _each(partial(column_header, name=name), files, folder, "numpy"):
            headers[name] = header
    check_same_rows(headers)
    if len(headers) < len(columns):
        return SourceFacts(rows=None, columns=tuple(columns))
    rows, size = next(iter(headers.values())).shape[0], sum(header.bytes for header in headers.values())
    return SourceFacts(rows=rows, columns=tuple(columns), bytes=size)


def _inspect_images(images: ImagesSource, folder: Path, *, count: bool) -> SourceFacts:
    if images.table is not None:
        return _inspect_image_table(images, folder, count=count)
    assert images.path is not None
    files = find_files(images.path, folder, kind="images")
    if files is None:
        return SourceFacts(rows=None, columns=None)
    given = [images.path] if isinstance(images.path, str) else images.path
    classes = classes_of(
        [shown_path(file, folder) for file in files], [name.rstrip("/") for name in given], images.classes
    )
    size = (images.size[0], images.size[1]) if images.size else None
    if size is None:
        read_size = partial(image_size, exif_transpose=images.exif_transpose)
        size, *others = _each(read_size, files[: COMPARE_UP_TO_IMAGES if count else 1], folder, "images")
        for file, own in zip(files[1:], others, strict=False):
            check_size(own, size, shown_path(file, folder))
    columns = ("image", "path") if classes is None else ("image", "label", "class", "path")
    return SourceFacts(
        rows=len(files), columns=columns, bytes=len(files) * size[0] * size[1] * pixel_bytes(images.mode)
    )


def _inspect_image_table(images: ImagesSource, folder: Path, *, count: bool) -> SourceFacts:
    assert images.table is not None
    assert images.size is not None
    if not is_uri(images.folder) and not Path(images.folder).is_absolute():
        problem = check_inside(images.folder, folder)
        if problem:
            raise SpecError(problem)
    table = Source.model_validate({images.table.kind: images.table.value})
    facts = inspect_source(table, folder, count=count)
    if facts.columns is not None and images.column not in facts.columns:
        raise SpecError(Problem(got=f"the column `{images.column}`", expected=f"one of {', '.join(facts.columns)}"))
    size = None if facts.rows is None else facts.rows * images.size[0] * images.size[1] * pixel_bytes(images.mode)
    columns = None if facts.columns is None else (*facts.columns, "image")
    return SourceFacts(rows=facts.rows, columns=columns, bytes=size)


def _with_partitions(columns: tuple[str, ...], files: list[Path], folder: Path) -> tuple[str, ...]:
    """The folders `column=value` on the files' paths are columns too."""
    first = shown_path(files[0], folder)
    partitions = list(partitions_of(first))
    for file in files[1:]:
        own = shown_path(file, folder)
        check_same_columns([*columns, *partitions_of(own)], own, [*columns, *partitions], first)
    return (*columns, *(name for name in partitions if name not in columns))


def _each(read: Callable[[BinaryIO, str], _Told], files: list[Path], folder: Path, kind: str) -> list[_Told]:
    """What a reader tells of each file."""
    found = []
    for file in files:
        shown = shown_path(file, folder)
        opener: Any = gzip.open if kind in PACKED and file.suffix == ".gz" else Path.open
        with reading(shown, f"a {kind} file"), opener(file, "rb") as stream:
            found.append(read(stream, shown))
    return found


def _counter(read: Callable[[BinaryIO, str], Iterator[object]]) -> Callable[[BinaryIO, str], int]:
    return lambda stream, shown: sum(1 for _ in read(stream, shown))


def _countable(files: list[Path], count: bool) -> bool:
    return count and _size(files) <= COUNT_UP_TO_BYTES


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


_INSPECT = {
    "json": _inspect_json,
    "text": _inspect_text,
    "tfrecords": _inspect_tfrecords,
    "parquet": _inspect_parquet,
    "numpy": _inspect_numpy,
}
