"""Cutting a source into chunks: always the same ones, each row in one, those that are done left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from raytrain.data.prediction_chunks import Chunk, FileUnit, Origin, chunk_rows, chunks, file_units
from raytrain.data.sources.file_kinds import format_of, listing_of
from raytrain.spec.source_kinds import Source


@pytest.fixture
def unit(tmp_path: Path) -> FileUnit:
    """Three csv files of 7, 1 and 5 rows."""
    at = 0
    for number, rows in enumerate((7, 1, 5)):
        pd.DataFrame({"x": range(at, at + rows)}).to_csv(tmp_path / f"{number}.csv", index=False)
        at += rows
    source = Source.model_validate({"csv": str(tmp_path)})
    listing = listing_of(source, tmp_path, "data.input")
    [found] = file_units(listing, format_of(source, listing, tmp_path, "data.input"))
    return found


def test_every_row_is_in_one_chunk_that_knows_where_it_came_from(unit: FileUnit) -> None:
    found = list(chunks(unit, 4, ()))

    assert [chunk.part for chunk in found] == ["00000-00000", "00000-00001", "00000-00002", "00000-00003"]
    assert [chunk.table.column("x").to_pylist() for chunk in found] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
        [12],
    ]
    names = unit.files.names
    assert found[1].origins == (
        Origin(file=names[0], first=4, rows=3),
        Origin(file=names[1], first=0, rows=1),
    )
    assert [found[1].row_of(index) for index in (0, 2, 3)] == [(names[0], 4), (names[0], 6), (names[1], 0)]
    with pytest.raises(IndexError):
        found[1].row_of(4)


def test_what_is_done_is_left_out_and_the_rest_has_the_same_names(unit: FileUnit) -> None:
    found = list(chunks(unit, 4, {"00000-00001", "00000-00003"}))
    assert [(chunk.part, chunk.table.column("x")[0].as_py()) for chunk in found] == [
        ("00000-00000", 0),
        ("00000-00002", 8),
    ]


def test_a_chunk_travels_as_a_row(unit: FileUnit) -> None:
    for chunk in chunks(unit, 5, ()):
        [again] = Chunk.of_rows(chunk.to_row())
        assert (again.part, again.origins) == (chunk.part, chunk.origins)
        assert again.table.equals(chunk.table)


def test_large_files_are_units_of_their_own(unit: FileUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrain.data.prediction_chunks._UNIT_BYTES", max(unit.files.sizes) + min(unit.files.sizes))
    units = file_units(unit.files, unit.form)
    assert [len(each.files.paths) for each in units] == [2, 1]
    assert [each.number for each in units] == [0, 1]


@pytest.mark.parametrize(
    ("rows", "workers", "batch", "expected"),
    [
        (10**9, 1, 100, 4_194_300),  # 32 MiB of 8 bytes, in whole batches
        (8_000, 2, 100, 1_000),  # four chunks for each worker
        (50, 8, 100, 100),  # of at least a batch
    ],
)
def test_a_chunk_has_some_bytes_and_every_worker_some_chunks(
    rows: int, workers: int, batch: int, expected: int
) -> None:
    import pyarrow as pa

    first = pa.table({"x": pa.array(range(64), pa.int64())})
    assert chunk_rows(first, rows=rows, workers=workers, batch_size=batch) == expected
