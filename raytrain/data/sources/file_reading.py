"""Reads a source's files in Ray Data tasks, one after the other; what is wrong with a file names it.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from raytrain.data.sources.listing import Listing
from raytrain.errors import Problem, RaytrainError, UserCodeError
from raytrain.spec.file_errors import reading, reason_of
from raytrain.spec.peek.named_files import PACKED
from raytrain.spec.peek.unify_schemas import check_same_columns

# From a file system and a path to the file's rows as tables, in order.
Decode = Callable[[Any, str], Iterator[pa.Table]]

_Told = TypeVar("_Told")

# Of so many bytes of files a process reads the rows sooner than Ray Data has started another that would.
_READ_HERE_BYTES = {"parquet": 256 << 20, "numpy": 256 << 20, "images": 8 << 20, "tfrecords": 8 << 20}
_READ_HERE_BYTES_OF_TEXT = 64 << 20
_TASKS_PER_CPU = 4
_TASK_BYTES = 64 << 20
_BLOCK_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Format:
    """How the files of a source are read.

    Attributes:
        kind: of the source, for error messages.
        decode: reads one file.
        columns: that each file has, partitions aside; none are checked when empty.
        more: whether a file may have others too.
        schema: the types of all files together, as far as their beginnings tell; None where a file's own stand.
    """

    kind: str
    decode: Decode
    columns: tuple[str, ...] = ()
    more: bool = False
    schema: pa.Schema | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over the files tells: the rows of each, and the types of its columns."""

    rows: tuple[int, ...]
    schemas: tuple[pa.Schema, ...]


def is_read_here(kind: str, size: int) -> bool:
    """Whether files of so many bytes in all are read by the process that wants their rows, instead of by tasks."""
    return size <= _READ_HERE_BYTES.get(kind, _READ_HERE_BYTES_OF_TEXT)


def files_dataset(listing: Listing, form: Format) -> ray.data.Dataset:
    """The rows of the files, in order."""
    return _dataset(listing, _rows_of, form)


def file_tables(listing: Listing, form: Format) -> Iterator[pa.Table]:
    """The rows of the files, read in this process."""
    for path, partitions in zip(listing.paths, listing.partitions, strict=True):
        yield from _tables(listing.filesystem, path, partitions, form)


def survey_files(listing: Listing, form: Format) -> Survey:
    """Reads all files, in Ray Data tasks where there is much of them, of which only counts and types come back."""
    if is_read_here(form.kind, listing.bytes):  # when the workers may have all CPUs that a task would wait for
        tables = list(_Reading(files=listing, work=_count_of, form=form)())
    else:
        tables = ray.get(_dataset(listing, _count_of, form).to_arrow_refs())
    found = [row for table in tables for row in table.to_pylist()]
    return Survey(
        rows=tuple(row["rows"] for row in found),
        schemas=tuple(pa.ipc.read_schema(pa.py_buffer(row["schema"])) for row in found),
    )


def read_head(read: Callable[[BinaryIO, str], _Told], filesystem: Any, path: str, kind: str) -> _Told:
    """What a reader of `raytrain.spec.peek`, by which the client reads its files as well, tells of a file."""
    opener = filesystem.open_input_stream if kind in PACKED else filesystem.open_input_file
    with reading(path, f"a {kind} file"), opener(path) as stream:
        return read(stream, path)


def task_count(size: int, most: int) -> int:
    """How many tasks share the reading of so many bytes, at most so many."""
    return min(most, max(int(_TASKS_PER_CPU * ray.cluster_resources().get("CPU", 1)), size // _TASK_BYTES))


def _dataset(listing: Listing, work: _Work, form: Format) -> ray.data.Dataset:
    tasks = task_count(listing.bytes, len(listing.paths))
    return ray.data.read_datasource(FilesDatasource(listing, work, form), override_num_blocks=tasks)


class FilesDatasource(Datasource):  # type: ignore[misc]  # Ray's classes are untyped
    """Files of one kind, in order: each Ray Data task reads a run of neighbours."""

    def __init__(self, listing: Listing, work: _Work, form: Format) -> None:
        super().__init__()
        self._listing, self._work, self._form = listing, work, form

    def estimate_inmemory_data_size(self) -> int:
        return self._listing.bytes

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        count = len(self._listing.paths)
        tasks = []
        for group in np.array_split(np.arange(count), min(parallelism, count)):
            files = self._listing.take(group.tolist())
            metadata = BlockMetadata(
                num_rows=None, size_bytes=files.bytes, input_files=list(files.paths), exec_stats=None
            )
            reading = _Reading(files=files, work=self._work, form=self._form)
            tasks.append(ReadTask(reading, metadata, per_task_row_limit=per_task_row_limit))
        return tasks


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """The work of one task."""

    files: Listing
    work: _Work
    form: Format

    def __call__(self) -> Iterator[pa.Table]:
        return merged(
            table
            for path, partitions in zip(self.files.paths, self.files.partitions, strict=True)
            for table in self.work(_tables(self.files.filesystem, path, partitions, self.form), path)
        )


def merged(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Small neighbours of one schema as one table: a block for each image would cost more than the image."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        if held and (size + table.nbytes > _BLOCK_BYTES or table.schema != held[0].schema):
            yield _one(held)
            held, size = [], 0
        held.append(table)
        size += table.nbytes
    if held:
        yield _one(held)


def _one(tables: list[pa.Table]) -> pa.Table:
    filled = [table for table in tables if table.num_rows] or tables[:1]
    return filled[0] if len(filled) == 1 else pa.concat_tables(filled).combine_chunks()


_Work = Callable[[Iterator[pa.Table], str], Iterator[pa.Table]]


def _rows_of(tables: Iterator[pa.Table], path: str) -> Iterator[pa.Table]:
    return tables


def _count_of(tables: Iterator[pa.Table], path: str) -> Iterator[pa.Table]:
    rows, schemas = 0, [pa.schema([])]
    for table in tables:
        rows += table.num_rows
        if table.schema != schemas[-1]:
            schemas.append(table.schema)
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    yield pa.table({"path": [path], "rows": [rows], "schema": [schema.serialize().to_pybytes()]})


def _tables(filesystem: Any, path: str, partitions: dict[str, pa.Scalar], form: Format) -> Iterator[pa.Table]:
    """One file's rows.

    Raises:
        UserCodeError: the file is corrupt, or has other columns than the first.
    """
    try:
        for index, table in enumerate(form.decode(filesystem, path)):
            if index == 0 and form.columns:
                check_same_columns(table.column_names, path, form.columns, "the source's first file", more=form.more)
            yield _with_partitions(_widened(table, form), partitions)
    except RaytrainError:
        raise
    except Exception as error:  # a corrupt file may fail in any way, and it is what to name
        raise UserCodeError(Problem(file=path, got=reason_of(error), expected=f"a {form.kind} file")) from error


def _widened(table: pa.Table, form: Format) -> pa.Table:
    """Columns in the type that all files together have, and those that this one lacks as empty: alike in all blocks."""
    for wide in form.schema or ():
        index = table.schema.get_field_index(wide.name)
        if index < 0 and form.more:
            table = table.append_column(wide, pa.nulls(table.num_rows, wide.type))
        elif (
            index >= 0
            and table.schema.field(index).type != wide.type
            and _widens(table.schema.field(index).type, wide.type)
        ):
            table = table.set_column(index, wide.name, table.column(index).cast(wide.type))
    return table


def _widens(kind: pa.DataType, wide: pa.DataType) -> bool:
    whole_beside_fractions = pa.types.is_integer(kind) and pa.types.is_floating(wide)
    return bool(whole_beside_fractions or pa.types.is_null(kind))


def _with_partitions(table: pa.Table, partitions: dict[str, pa.Scalar]) -> pa.Table:
    for name, value in partitions.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table
