"""Reads the spec's sources with Ray Data: lazily as a Ray Dataset, or at once as an Arrow table.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data.dataset import MaterializedDataset

from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources.file_kinds import FILE_KINDS, format_of, listing_of, size_of
from raytrain.data.sources.file_reading import file_tables, files_dataset, is_read_here, survey_files, task_count
from raytrain.data.sources.image_files import images_of_table
from raytrain.data.sources.lakes import lake_rows, query_rows
from raytrain.data.sources.memory_tables import inline_table, sklearn_table
from raytrain.data.sources.parquet_files import parquet_dataset, parquet_format, read_footers
from raytrain.data.sources.read_errors import explain
from raytrain.data.sources.user_rows import rows_of_user
from raytrain.errors import Problem, RaytrainError, UserCodeError
from raytrain.spec.column_options import ColumnSpec
from raytrain.spec.peek.unify_schemas import unify_schemas
from raytrain.spec.source_kinds import Source


@dataclass(frozen=True, kw_only=True)
class Read:
    """A source, ready to be read by Ray Data tasks.

    Attributes:
        content: the rows in the source's own order: a table where they are in this process's memory, else what makes a
            dataset of them, which may take tasks of Ray.
        here: reads the rows in this process, where they are of files so few that tasks would take longer to start.
        files: the source's files in order; empty where it has none.
        schema: the one of all files, where parquet files have different types.
        rows: how many rows, where metadata tells without reading.
        bytes: estimated bytes in memory, where that is known without reading.
        columns: of each file of a csv source, folders aside.
        notices: what the user should know of the source, in words.
    """

    content: pa.Table | Callable[[], ray.data.Dataset]
    here: Callable[[], Iterator[pa.Table]] | None = None
    files: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    schema: pa.Schema | None = None
    columns: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @cached_property
    def dataset(self) -> ray.data.Dataset:
        """The rows as a Ray Dataset. To make one of a table Ray starts a process, which takes seconds."""
        return ray.data.from_arrow(self.content) if isinstance(self.content, pa.Table) else self.content()

    @property
    def table(self) -> pa.Table | None:
        """The rows where they are in memory."""
        return self.content if isinstance(self.content, pa.Table) else None


def read_source(
    source: Source,
    folder: Path,
    *,
    field: str,
    files: Sequence[str] | None = None,
    schema: pa.Schema | None = None,
    options: Mapping[str, ColumnSpec] | None = None,
) -> Read:
    """A source as a Ray Dataset that nobody has begun to read: names are listed and metadata is read, no more.

    The rows of a query alone are read at once.

    Args:
        folder: the job's own folder; relative paths start there.
        field: where the source stands in the spec (`data.train`), for error messages.
        files: these of the source's files, in this order; rows and bytes are not told then.
        schema: `Read.schema` of the whole source, where `files` are given.
        options: what the spec says of columns.

    Raises:
        UserCodeError: the source is missing, or metadata shows what cannot be read.
    """
    _keep_row_order()
    try:
        if has_files(source):
            return _read_files(source, folder, field, files, schema, options)
        return _read(source, folder, f"{field}.{source.kind}")
    except (ray.exceptions.RayError, RaytrainError) as error:
        raise explain(error, source, folder, field) from error
    except (OSError, pa.ArrowException, ValueError) as error:
        if source.code:
            raise  # by the user's own function, whose line the traceback has
        raise explain(error, source, folder, field) from error


def read_table(source: Source, folder: Path, *, field: str) -> pa.Table:
    """All rows of a source at once, for data that fits the driver's memory.

    Raises:
        UserCodeError: the source is missing, unreadable or empty, or what a function returned holds no rows.
    """
    read = read_source(source, folder, field=field)
    try:
        tables = ray.get(read.dataset.to_arrow_refs())
    except (OSError, pa.ArrowException, ray.exceptions.RayError, ValueError) as error:
        raise explain(error, source, folder, field) from error
    try:
        table = join_tables(tables)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        rows_per_file(source, folder, field=field)  # names the file whose types differ
        raise explain(error, source, folder, field) from error
    if table.num_rows == 0:
        raise UserCodeError(Problem(field=f"{field}.{source.kind}", got="no rows", expected="at least one row"))
    return table


def table_at_once(source: Source, folder: Path, *, field: str) -> pa.Table | None:
    """All rows of a source that needs no Ray Data to be read; None of any other.

    Raises:
        UserCodeError: they make no table.
    """
    match source.kind:
        case "sklearn":
            return sklearn_table(source.value)
        case "inline":
            return inline_table(source.value, f"{field}.{source.kind}")
        case "python":
            rows = rows_of_user(source.value, folder, f"{field}.{source.kind}")
            return rows if isinstance(rows, pa.Table) and rows.num_rows else None
    return None


def rows_per_file(
    source: Source,
    folder: Path,
    *,
    field: str,
    files: Sequence[str] | None = None,
    options: Mapping[str, ColumnSpec] | None = None,
) -> tuple[int, ...]:
    """The rows of each file: from metadata for parquet, numpy and images, else by reading them all once in Ray Data.

    A source that `read_source` gives no files for has none here.

    Args:
        files: these of the source's files, in this order; all by default.
        options: what the spec says of columns.

    Raises:
        UserCodeError: a file is corrupt, or has other columns or types than those before it.
    """
    _keep_row_order()
    try:
        return _count(source, folder, f"{field}.{source.kind}", files, options)
    except (OSError, pa.ArrowException, ray.exceptions.RayError, ValueError, RaytrainError) as error:
        raise explain(error, source, folder, field) from error


def _count(
    source: Source,
    folder: Path,
    field: str,
    files: Sequence[str] | None,
    options: Mapping[str, ColumnSpec] | None,
) -> tuple[int, ...]:
    if not has_files(source):
        return ()
    whole = listing_of(source, folder, field)
    listing = whole if files is None else whole.select(files)
    if source.parquet:
        return read_footers(listing).size.rows or ()
    form = format_of(source, whole, folder, field, options)
    known = size_of(listing, form)
    if known.rows is not None:
        return known.rows
    survey = survey_files(listing, form)
    unify_schemas(survey.schemas, listing.paths)
    return survey.rows


def _keep_row_order() -> None:
    """Ray Data hands blocks on as their tasks end; the split and the epochs' orders build on the source's own."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.use_datasource_v2 = False  # in Ray 2.60 the newer parquet reader makes a block of every row to keep order


def _read(source: Source, folder: Path, field: str) -> Read:
    if source.images:
        return _read_image_table(source, folder, field)
    return _read_rows(rows_in_memory(source, folder, field))


def rows_in_memory(source: Source, folder: Path, field: str) -> Any:
    """The table or Ray Dataset of a source that is neither files nor images."""
    match source.kind:
        case "sklearn":
            return sklearn_table(source.value)
        case "inline":
            return inline_table(source.value, field)
        case "python":
            return rows_of_user(source.value, folder, field)
        case "sql":
            return query_rows(source.value, folder)
        case _:
            return lake_rows(source, folder, field)


def has_files(source: Source) -> bool:
    """Whether the rows are in files of a kind that is read here, but for images that a table names."""
    return source.kind in FILE_KINDS and not (source.images and source.details.table is not None)


def _read_rows(rows: Any) -> Read:
    """Of a table or a Ray Dataset."""
    if isinstance(rows, pa.Table):
        return Read(content=rows, rows=rows.num_rows, bytes=rows.nbytes)
    rows.context.execution_options.preserve_order = True
    if isinstance(rows, MaterializedDataset):
        return Read(content=lambda: rows, rows=rows.count(), bytes=rows.size_bytes())
    return Read(content=lambda: rows)


def _read_files(
    source: Source,
    folder: Path,
    field: str,
    files: Sequence[str] | None,
    schema: pa.Schema | None,
    options: Mapping[str, ColumnSpec] | None,
) -> Read:
    whole = listing_of(source, folder, f"{field}.{source.kind}")
    listing = whole if files is None else whole.select(files)
    if source.parquet:
        footers = read_footers(listing) if files is None else None
        schema = footers.schema if footers else schema
        form, known = parquet_format(schema), footers.size if footers else None
        make = partial(parquet_dataset, listing, schema)
    else:
        form = format_of(source, whole, folder, f"{field}.{source.kind}", options)
        known = size_of(listing, form) if files is None else None
        make = partial(files_dataset, listing, form)

    def dataset() -> ray.data.Dataset:
        try:
            return make()
        except (ray.exceptions.RayError, RaytrainError, OSError, pa.ArrowException, ValueError) as error:
            raise explain(error, source, folder, field) from error

    read = Read(
        content=dataset,
        here=partial(file_tables, listing, form) if is_read_here(source.kind, listing.bytes) else None,
        files=listing.names,
        schema=schema,
        notices=listing.notices,
    )
    if known is None:
        return read
    rows = None if known.rows is None else sum(known.rows)
    return replace(read, rows=rows, bytes=known.bytes, columns=form.columns)


def _read_image_table(source: Source, folder: Path, field: str) -> Read:
    """The table itself, which only names the images, is read at once."""
    table = source.details.table
    names = read_table(Source.model_validate({table.kind: table.value}), folder, field=f"{field}.table")
    images = images_of_table(names, source.details, folder, field)
    size = images.estimate_inmemory_data_size()
    dataset = ray.data.read_datasource(images, override_num_blocks=task_count(size, names.num_rows))
    return Read(content=lambda: dataset, rows=names.num_rows, bytes=size)
