"""What the client can know of a source before submission: its rows, its columns and its size."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.errors import Problem, SpecError
from raytrain.file_systems import is_uri
from raytrain.spec.peek import binary_headers, text_heads
from raytrain.spec.peek.image_folders import CHANNELS, classes_of
from raytrain.spec.peek.named_files import check_inside, find_files, partitions_of, shown_path
from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS
from raytrain.spec.peek.unify_schemas import check_same_columns, unify_schemas
from raytrain.spec.source_kinds import ImagesSource, Source

# Past this much text the client does not count rows, and past so many images it does not compare their sizes: the
# driver, which reads them anyway, does.
COUNT_UP_TO_BYTES = 512 << 20
COMPARE_UP_TO_IMAGES = 10_000


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
        case "python" | "sql" | "iceberg" | "huggingface":
            return _UNKNOWN
    if isinstance(source.numpy, dict):
        return _inspect_numpy_columns(source.numpy, folder)
    files = find_files(source.value, folder, kind=source.kind)
    return _UNKNOWN if files is None else _INSPECT[source.kind](files, folder, count)


def source_columns(source: Source, folder: Path) -> tuple[str, ...] | None:
    """The columns alone, without reading whole files.

    Raises:
        SpecError: as `inspect_source`.
    """
    return inspect_source(source, folder, count=False).columns


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


def _inspect_csv(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    header = text_heads.csv_header(files[0], folder)
    for file in files[1:]:
        own, first = text_heads.csv_header(file, folder), shown_path(files[0], folder)
        check_same_columns(own, shown_path(file, folder), header, first, line=1)
    rows = (
        sum(text_heads.count_csv_rows(file, len(header), folder) for file in files)
        if _countable(files, count)
        else None
    )
    return SourceFacts(rows=rows, columns=_with_partitions(header, files, folder), bytes=_size(files))


def _inspect_json(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    columns = text_heads.json_columns(files[0], folder)
    for file in files[1:]:
        own, first = text_heads.json_columns(file, folder), shown_path(files[0], folder)
        check_same_columns(own, shown_path(file, folder), columns, first, more=True)
    kinds: dict[str, str] = {}
    counted = _countable(files, count)
    rows = sum(text_heads.count_json_rows(file, columns, kinds, folder) for file in files) if counted else None
    return SourceFacts(rows=rows, columns=_with_partitions(columns, files, folder), bytes=_size(files))


def _inspect_text(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    rows = sum(text_heads.count_lines(file, folder) for file in files) if _countable(files, count) else None
    return SourceFacts(rows=rows, columns=_with_partitions(("text",), files, folder), bytes=_size(files))


def _inspect_tfrecords(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    counted = count and not any(file.suffix == ".gz" for file in files)
    rows = sum(binary_headers.count_records(file, folder) for file in files) if counted else None
    return SourceFacts(rows=rows, columns=None, bytes=_size(files))


def _inspect_parquet(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    """From the files' footers alone."""
    footers = [footer for file in files if (footer := binary_headers.parquet_footer(file, folder))]
    if not footers:
        return _UNKNOWN
    schema = unify_schemas([footer[2] for footer in footers], [shown_path(file, folder) for file in files])
    return SourceFacts(
        rows=sum(footer[0] for footer in footers),
        columns=_with_partitions(tuple(schema.names), files, folder),
        bytes=sum(footer[1] for footer in footers),
    )


def _inspect_numpy(files: list[Path], folder: Path, count: bool) -> SourceFacts:
    found = [binary_headers.array_headers(file, folder) for file in files]
    for file, headers in zip(files, found, strict=True):
        check_same_columns(list(headers), shown_path(file, folder), list(found[0]), shown_path(files[0], folder))
        for name, header in headers.items():
            if header.shape[1:] != found[0][name].shape[1:]:
                got, expected = f"`{name}` of shape {header.shape}", f"(rows, {str(found[0][name].shape[1:])[1:]}"
                raise SpecError(Problem(got=got, expected=expected, file=shown_path(file, folder)))
    every = [header for headers in found for header in headers.values()]
    rows = sum(next(iter(headers.values())).shape[0] for headers in found if headers)
    return SourceFacts(rows=rows, columns=_with_partitions(tuple(found[0]), files, folder), bytes=_total(every))


def _inspect_numpy_columns(columns: dict[str, str], folder: Path) -> SourceFacts:
    found = {name: find_files(file, folder, kind="numpy") for name, file in columns.items()}
    headers = {name: _column_header(name, files, folder) for name, files in found.items() if files}
    rows = {name: header.shape[0] for name, header in headers.items()}
    if len(set(rows.values())) > 1:
        got = ", ".join(f"{name}: {count}" for name, count in rows.items())
        raise SpecError(Problem(got=f"different numbers of rows, {got}", expected="as many rows in each column"))
    if len(headers) < len(columns):
        return SourceFacts(rows=None, columns=tuple(columns))
    return SourceFacts(rows=next(iter(rows.values())), columns=tuple(columns), bytes=_total(list(headers.values())))


def _column_header(name: str, files: list[Path], folder: Path) -> binary_headers.ArrayHeader:
    if len(files) > 1:
        got = f"{len(files)} files for the column `{name}`"
        raise SpecError(Problem(got=got, expected="one .npy file for each column"))
    headers = binary_headers.array_headers(files[0], folder)
    if list(headers) != ["data"] or zipfile.is_zipfile(files[0]):
        held, shown = ", ".join(headers) or "no arrays", shown_path(files[0], folder)
        got, fix = (
            f"an archive of {held} for the column `{name}`",
            f"numpy: {shown} makes a column of each of its arrays",
        )
        raise SpecError(Problem(got=got, expected="a .npy file, of one array", fix=fix, file=shown))
    return headers["data"]


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
    size = images.size or binary_headers.image_size(files[0], folder)
    if images.size is None and count:
        for file in files[:COMPARE_UP_TO_IMAGES]:
            _same_size(file, binary_headers.image_size(file, folder), size, folder)
    pixels = None if size is None else size[0] * size[1] * CHANNELS[images.mode]
    columns = ("image", "path") if classes is None else ("image", "label", "class", "path")
    return SourceFacts(rows=len(files), columns=columns, bytes=None if pixels is None else len(files) * pixels)


def _same_size(file: Path, found: Any, expected: Any, folder: Path) -> None:
    if found != expected:
        raise SpecError(
            Problem(
                got=f"an image of {found[0]}x{found[1]} pixels (height x width)",
                expected=f"{expected[0]}x{expected[1]}, as the source's first image",
                fix="give the images a size: {path: …, size: [height, width]}",
                file=shown_path(file, folder),
            )
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
    size = None if facts.rows is None else facts.rows * images.size[0] * images.size[1] * CHANNELS[images.mode]
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


def _countable(files: list[Path], count: bool) -> bool:
    return count and _size(files) <= COUNT_UP_TO_BYTES


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _total(headers: list[binary_headers.ArrayHeader]) -> int | None:
    sizes = [header.bytes for header in headers]
    return None if None in sizes else sum(size or 0 for size in sizes)


_INSPECT = {
    "csv": _inspect_csv,
    "json": _inspect_json,
    "text": _inspect_text,
    "tfrecords": _inspect_tfrecords,
    "parquet": _inspect_parquet,
    "numpy": _inspect_numpy,
}
