"""Folders named `column=value` as a column of their files: of what type it is, and which cells are empty.

Runs in: the driver.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from raytrain.spec.peek.named_files import partitions_of
from raytrain.spec.peek.unify_schemas import check_same_columns

# What stands for no value: with Hive, Spark, DuckDB, polars and Arrow; with Iceberg; with Presto.
_EMPTY = ("", "__HIVE_DEFAULT_PARTITION__", "null", r"\N")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?")
_SHOWN = 3


def typed_partitions(paths: Sequence[str]) -> tuple[tuple[dict[str, pa.Scalar], ...], tuple[str, ...]]:
    """The values of each file's folders, and what the user should know of them.

    A column is of numbers where every folder's value is one, zeros in front or not, else of text.

    Raises:
        SpecError: a file that lies in other partitions than the first.
    """
    partitions = [partitions_of(path) for path in paths]
    for path, values in zip(paths, partitions, strict=True):
        check_same_columns(list(values), path, list(partitions[0]), paths[0])
    kinds, notices = {}, []
    for name in partitions[0] if partitions else ():
        filled = dict.fromkeys(values[name] for values in partitions if values[name] not in _EMPTY)
        kinds[name] = _kind(list(filled))
        notices += _said(name, list(filled), kinds[name])
    typed = tuple({name: _scalar(values[name], kind) for name, kind in kinds.items()} for values in partitions)
    return typed, tuple(notices)


def _kind(values: list[str]) -> pa.DataType:
    if values and all(map(_WHOLE.fullmatch, values)):
        return pa.int64()
    return pa.float64() if values and all(map(_FRACTION.fullmatch, values)) else pa.string()


def _scalar(value: str, kind: pa.DataType) -> pa.Scalar:
    if value in _EMPTY:
        return pa.scalar(None, kind)
    made = {pa.int64(): int, pa.float64(): float}.get(kind, str)
    return pa.scalar(made(value), kind)


def _said(name: str, values: list[str], kind: pa.DataType) -> list[str]:
    padded = [value for value in values if re.fullmatch(r"[+-]?0\d+", value)]
    if kind == pa.int64() and padded:
        return [f"the folders {name}=… are a column of numbers: {name}={padded[0]} is {int(padded[0])}"]
    numbers = [value for value in values if _FRACTION.fullmatch(value)]
    if kind == pa.string() and numbers and len(numbers) < len(values):
        others = [value for value in values if value not in numbers]
        shown = ", ".join([*others[:_SHOWN], numbers[0]])
        return [f"the folders {name}=… are a column of text, as not all are numbers: {shown}"]
    return []
