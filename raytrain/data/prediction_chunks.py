"""Cuts a source into numbered chunks of rows, always the same ones, which Ray Data hands on one by one.

Runs in: the driver, and the Ray Data tasks it starts.

Ray Data joins and splits blocks as it sees fit, so a chunk travels as one cell: its rows as an Arrow stream, beside the
name of the part that is to be made of them and where they came from. What is done with a chunk is then done once,
and a chunk whose part is there already is not read on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import Datasource, ReadTask
from ray.data.block import BlockAccessor, BlockMetadata

from raytrain.data.blocks import StoredRows
from raytrain.data.columns.logical_columns import join_tables
from raytrain.data.sources.file_reading import Format, file_tables
from raytrain.data.sources.listing import Listing

_UNIT_BYTES = 64 << 20
_CHUNK_BYTES = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where consecutive rows of a chunk came from: `rows` of them, from row `first`, counted from 0, of `file`."""

    file: str
    first: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some rows of a source. `part`: `00002-00017`, which sorts as the rows do."""

    part: str
    table: pa.Table
    origins: tuple[Origin, ...]

    def to_row(self) -> pa.Table:
        """One row of a block."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as writer:
            writer.write_table(self.table)
        cell = pa.array([sink.getvalue().to_pybytes()], pa.large_binary())
        origins = json.dumps([asdict(origin) for origin in self.origins])
        return pa.table({"part": [self.part], "rows": cell, "origins": [origins]})

    @classmethod
    def of_rows(cls, rows: pa.Table) -> Iterator[Chunk]:
        """The chunks that a block's rows stand for."""
        for index in range(rows.num_rows):
            with pa.ipc.open_stream(rows.column("rows")[index].as_buffer()) as reader:
                table = reader.read_all()
            origins = json.loads(rows.column("origins")[index].as_py())
            yield cls(
                part=rows.column("part")[index].as_py(),
                table=table,
                origins=tuple(Origin(**origin) for origin in origins),
            )

    def row_of(self, index: int) -> tuple[str, int]:
        """The file, and the row in it counted from 0, that a row of the chunk came from."""
        for origin in self.origins:
            if index < origin.rows:
                return origin.file, origin.first + index
            index -= origin.rows
        raise IndexError(index)


@dataclass(frozen=True, kw_only=True)
class FileUnit:
    """Neighbouring files that one task reads, in order."""

    number: int
    files: Listing
    form: Format

    @property
    def bytes(self) -> int:
        return self.files.bytes

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        for position, name in enumerate(self.files.names):
            for table in file_tables(self.files.take([position]), self.form):
                yield name, table


@dataclass(frozen=True, kw_only=True)
class StoredUnit:
    """Rows that are in the object store already, of a source that has no files. `name`: of the source, in words."""

    number: int
    name: str
    rows: tuple[StoredRows, ...]

    @property
    def bytes(self) -> int:
        return sum(rows.bytes for rows in self.rows)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        for rows in self.rows:
            block = BlockAccessor.for_block(ray.get(rows.ref)).to_arrow()
            yield self.name, block.slice(rows.first, rows.stop - rows.first)


Unit = FileUnit | StoredUnit


def file_units(listing: Listing, form: Format) -> list[FileUnit]:
    """The files in units of some bytes: a function of the listing alone."""
    groups: list[list[int]] = [[]]
    held = 0
    for position, size in enumerate(listing.sizes):
        if groups[-1] and held + size > _UNIT_BYTES:
            groups.append([])
            held = 0
        groups[-1].append(position)
        held += size
    return [
        FileUnit(number=number, files=listing.take(group), form=form) for number, group in enumerate(groups) if group
    ]


def chunk_rows(first_rows: pa.Table, *, rows: int, workers: int, batch_size: int) -> int:
    """How many rows a chunk has: some bytes' worth, and fewer where all workers would not have some chunks each.

    Args:
        rows: of the whole source, about.
    """
    row_bytes = max(1, first_rows.nbytes // max(1, first_rows.num_rows))
    most: int = max(1, _CHUNK_BYTES // row_bytes)
    most = min(most, max(batch_size, -(-rows // (4 * workers))))
    return most if most < batch_size else most // batch_size * batch_size


def chunks(unit: Unit, rows: int, done: Collection[str]) -> Iterator[Chunk]:
    """The unit's rows in chunks of so many, but for those whose parts are done."""
    waiting: list[tuple[str, int, pa.Table]] = []
    held, number = 0, 0
    at: dict[str, int] = {}
    for name, table in unit.tables():
        while table.num_rows:
            taken = table.slice(0, rows - held)
            waiting.append((name, at.get(name, 0), taken))
            at[name] = at.get(name, 0) + taken.num_rows
            held += taken.num_rows
            table = table.slice(taken.num_rows)
            if held == rows:
                yield from _chunk(unit, number, waiting, done)
                waiting, held, number = [], 0, number + 1
    if waiting:
        yield from _chunk(unit, number, waiting, done)


def _chunk(
    unit: Unit, number: int, pieces: Sequence[tuple[str, int, pa.Table]], done: Collection[str]
) -> Iterator[Chunk]:
    part = f"{unit.number:05d}-{number:05d}"
    if part not in done:
        origins = tuple(Origin(file=name, first=first, rows=table.num_rows) for name, first, table in pieces)
        yield Chunk(part=part, table=join_tables([table for *_, table in pieces]), origins=origins)


class ChunksDatasource(Datasource):  # type: ignore[misc]  # Ray's classes are untyped
    """The chunks of the units, a row each; every unit is read by one task."""

    def __init__(self, units: Sequence[Unit], rows: int, done: Collection[str]) -> None:
        super().__init__()
        self._units, self._rows, self._done = units, rows, frozenset(done)

    def estimate_inmemory_data_size(self) -> int:
        return sum(unit.bytes for unit in self._units)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        return [
            ReadTask(
                _Reading(unit=unit, rows=self._rows, done=self._done),
                BlockMetadata(num_rows=None, size_bytes=unit.bytes, input_files=None, exec_stats=None),
                per_task_row_limit=per_task_row_limit,
            )
            for unit in self._units
        ]


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """The work of one task."""

    unit: Unit
    rows: int
    done: frozenset[str]

    def __call__(self) -> Iterator[pa.Table]:
        some = False
        for chunk in chunks(self.unit, self.rows, self.done):
            some = True
            yield chunk.to_row()
        if not some:  # Ray wants a block of every task
            yield Chunk(part="", table=pa.table({"": [0]}), origins=()).to_row().slice(0, 0)


def chunk_dataset(units: Sequence[Unit], rows: int, done: Collection[str]) -> ray.data.Dataset:
    """The chunks that are still to be done, in any order."""
    return ray.data.read_datasource(ChunksDatasource(units, rows, done), override_num_blocks=len(units))
