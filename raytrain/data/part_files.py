"""Writes answers as parquet, csv or JSON lines: a file for each part, and of all parts one.

Runs in: the actors that predict, and the driver.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as types
from pyarrow import csv, parquet

from raytrain.run.task_result import finite

SUFFIXES = {"parquet": ".parquet", "csv": ".csv", "json": ".jsonl"}
_COPY_BYTES = 8 << 20
_JSON_ROWS = 4096


def write_part(filesystem: Any, path: str, table: pa.Table, kind: str) -> None:
    """Writes a part aside and renames it, so that a part that is there is whole."""
    aside = f"{path}.tmp"
    with filesystem.open_output_stream(aside) as sink:
        if kind == "parquet":
            parquet.write_table(table, sink, use_dictionary=_with_dictionary(table.schema))
        elif kind == "csv":
            csv.write_csv(table, sink)
        else:
            for lines in _json_lines(table):
                sink.write(lines)
    filesystem.move(aside, path)


def join_parts(filesystem: Any, paths: Sequence[str], target: str, kind: str) -> None:
    """Writes the rows of all parts into one file, in the order given."""
    if kind == "parquet":
        _join_parquet(filesystem, paths, target)
        return
    with filesystem.open_output_stream(target) as sink:
        for index, path in enumerate(paths):
            with filesystem.open_input_stream(path) as source:
                if kind == "csv" and index:
                    _skip_line(source)
                while chunk := source.read(_COPY_BYTES):
                    sink.write(chunk)


def _join_parquet(filesystem: Any, paths: Sequence[str], target: str) -> None:
    """Parts of a csv may have whole numbers where others have fractions: all get the types of all."""
    schema = pa.unify_schemas(
        [parquet.read_schema(path, filesystem=filesystem) for path in paths], promote_options="permissive"
    )
    with (
        filesystem.open_output_stream(target) as sink,
        parquet.ParquetWriter(sink, schema, use_dictionary=_with_dictionary(schema)) as writer,
    ):
        for path in paths:
            with filesystem.open_input_file(path) as source:
                for batch in parquet.ParquetFile(source).iter_batches():
                    writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def _with_dictionary(schema: pa.Schema) -> list[str]:
    """The columns whose values repeat: to look for repeats among probabilities takes most of a part's writing."""
    return [field.name for field in schema if not (types.is_floating(field.type) or types.is_nested(field.type))]


def _skip_line(source: Any) -> None:
    """Leaves a csv's header out, whose names hold no line breaks: `raytrain.model.answer_table` refuses those."""
    while (byte := source.read(1)) not in (b"\n", b""):
        del byte


def _json_lines(table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=_JSON_ROWS):
        yield "".join(f"{_json(row)}\n" for row in batch.to_pylist()).encode()


def _json(row: dict[str, Any]) -> str:
    """JSON has no NaN and no infinity: they are null."""
    try:
        return json.dumps(row, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(finite(row), default=str)
