"""Columns in their logical types: the same values in one layout, whoever wrote them.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from raytrain.spec.peek.logical_types import common_type, is_list, logical_type


def logical_column(column: Any) -> Any:
    """The same values, empty cells among them, as an array of the column's logical type."""
    kind = logical_type(column.type)
    if isinstance(column, pa.ChunkedArray):
        return _joined([chunk if chunk.type == kind else logical_column(chunk) for chunk in column.chunks], kind)
    flat = column
    if flat.type == kind:
        return flat
    if types.is_run_end_encoded(flat.type):
        return logical_column(pc.run_end_decode(flat))
    if types.is_dictionary(flat.type):  # its values first: Arrow picks no rows of views
        return pa.DictionaryArray.from_arrays(flat.indices, logical_column(flat.dictionary)).dictionary_decode()
    if types.is_list(flat.type) and logical_type(flat.type.value_type) == flat.type.value_type:
        return flat.cast(kind)
    if is_list(flat.type):  # Arrow's own cast of large list views is broken up to version 26
        lengths = np.asarray(flat.value_lengths().fill_null(0))
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
        return pa.LargeListArray.from_arrays(offsets, logical_column(flat.flatten()), mask=_gaps(flat))
    if types.is_fixed_size_list(flat.type):
        size = flat.type.list_size
        elements = flat.values.slice(flat.offset * size, len(flat) * size)
        return pa.FixedSizeListArray.from_arrays(logical_column(elements), size, mask=_gaps(flat))
    if types.is_struct(flat.type):
        fields = [logical_column(flat.field(index)) for index in range(flat.type.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=_gaps(flat))
    return (flat.storage if isinstance(flat.type, pa.BaseExtensionType) else flat).cast(kind)


def _gaps(flat: Any) -> Any:
    return flat.is_null() if flat.null_count else None


def _joined(chunks: list[Any], kind: pa.DataType) -> Any:
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def cast_column(column: Any, kind: pa.DataType) -> Any:
    """The column as one of a logical type that holds all its values."""
    flat = logical_column(column)
    if flat.type == kind:
        return flat
    if types.is_decimal(flat.type) and types.is_floating(kind):
        return as_fractions(flat)
    if types.is_large_list(kind):
        flat = flat.cast(pa.large_list(flat.type.value_type))
        offsets = pa.array(np.concatenate([[0], np.cumsum(np.asarray(flat.value_lengths().fill_null(0)))]), pa.int64())
        return pa.LargeListArray.from_arrays(offsets, cast_column(flat.flatten(), kind.value_type), mask=_gaps(flat))
    return flat.cast(kind)


def as_fractions(decimals: Any) -> Any:
    """Decimals as the nearest float64: by way of their digits, as Arrow's own cast misses some by the last bit."""
    return decimals.cast(pa.large_string()).cast(pa.float64())


def join_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables, whose columns may be of several layouts and of types that fit.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: the types of a column do not fit.
    """
    if not tables:
        return pa.table({})
    if any(not table.schema.equals(tables[0].schema) for table in tables):
        kinds = _common_types(tables)
        tables = [
            pa.table({name: cast_column(table.column(name), kinds[name]) for name in table.column_names})
            for table in tables
        ]
    return pa.concat_tables(tables, promote_options="permissive")


def _common_types(tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    kinds: dict[str, pa.DataType] = {}
    for table in tables:
        for field in table.schema:
            earlier = kinds.get(field.name, field.type)
            kinds[field.name] = common_type(earlier, field.type)
            if kinds[field.name] is None:
                raise pa.ArrowTypeError(f"column `{field.name}` of {earlier} and of {field.type}")
    return kinds
