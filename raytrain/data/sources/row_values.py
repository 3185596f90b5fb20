"""Values of Python that hold rows, of whatever library, as tables; what holds none is refused by what it is.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.sources.memory_tables import arrow_column, table_of_arrays
from raytrain.data.sources.tf_data_rows import is_tf_dataset, rows_of_tf_dataset

# What `(x, y)` and `(x, y, sample_weight)` are called, as `Model.fit` calls them.
FIT_NAMES = ("x", "y", "sample_weight")


def table_of(value: Any) -> pa.Table | None:
    """The table in a value of the types that are taken; None for any other.

    Raises:
        ValueError, TypeError: the value is of a type that is taken, and holds no rows of equal columns.
    """
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, dict):
        return _table_of_columns(value)
    if isinstance(value, np.ndarray) and value.dtype.names:
        return _table_of_columns({name: value[name] for name in value.dtype.names})
    if isinstance(value, list):
        return _table_of_rows(value)
    if library == "pandas" and hasattr(value, "columns"):
        return _table_of_frame(value)
    if is_tf_dataset(value):
        return _table_of_rows(rows_of_tf_dataset(value, FIT_NAMES))
    if library == "polars" and hasattr(value, "collect"):
        value = value.collect()
    if library == "datasets" and hasattr(value, "with_format"):
        return value.with_format("arrow")[:]
    if hasattr(value, "__arrow_c_stream__") and hasattr(value, "columns" if library != "pyarrow" else "schema"):
        return pa.table(value)
    if library == "pyarrow" and hasattr(value, "to_table"):
        return value.to_table()
    return _table_of_rows(map(_named, value)) if isinstance(value, Iterator) else None


def advice(value: Any) -> str:
    """What to return in place of a value that is not taken."""
    library = type(value).__module__.partition(".")[0]
    if library == "scipy":
        return 'return {"x": matrix.toarray(), "y": …}: the workers are fed dense arrays'
    if isinstance(value, tuple):
        return 'name the parts: return {"x": x, "y": y}'
    if isinstance(value, np.ndarray) or library in ("pandas", "polars", "torch", "tensorflow", "jax", "jaxlib"):
        return 'name it: return {"x": array, "y": …}'
    if hasattr(value, "__getitem__") and hasattr(value, "__len__"):
        return "return its rows: [dataset[index] for index in range(len(dataset))], each a dict"
    return ""


def _table_of_columns(columns: dict[Any, Any]) -> pa.Table:
    for name, column in columns.items():
        if type(column).__module__.startswith("scipy.sparse"):
            raise TypeError(f"column `{name}` is a sparse matrix; {name}.toarray() is a dense one")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of different lengths: {lengths}")
    return table_of_arrays(columns)


def _table_of_frame(frame: Any) -> pa.Table:
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise ValueError('columns of several levels; frame.columns = ["_".join(map(str, c)) for c in frame.columns]')
    if getattr(frame.index, "nlevels", 1) > 1:
        raise ValueError("an index of several levels, which is no column; frame.reset_index() makes columns of it")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _named(row: Any) -> Any:
    """A row of a generator: a dict as it is, a tuple in the words of `Model.fit`."""
    if not isinstance(row, tuple):
        return row
    if len(row) > len(FIT_NAMES):
        raise TypeError(f"a row of {len(row)} values, not a dict or (x, y, sample_weight)")
    lengths = {np.shape(part)[:1] for part in row}
    if len(row) > 1 and len(lengths) == 1 and lengths != {()}:
        raise TypeError("batches, as it seems, in place of rows: all parts are as long; yield one row after the other")
    return dict(zip(FIT_NAMES, row, strict=False))


def _table_of_rows(rows: Iterable[Any]) -> pa.Table:
    """Rows that are dicts of cells; cells may be arrays of any one shape."""
    rows = list(rows)
    for row in rows:
        if not isinstance(row, dict):
            raise TypeError(f"a row that is a {type(row).__name__}, not a dict of column names and cells")
        if set(row) != set(rows[0]):
            raise ValueError(f"rows of different columns, {sorted(rows[0])} and {sorted(row)}")
    return pa.table({name: _cells([row[name] for row in rows]) for name in (rows[0] if rows else ())})


def _cells(cells: list[Any]) -> pa.Array:
    if isinstance(cells[0], bytes):
        try:
            return pa.array([cell.decode() for cell in cells])  # text, as TensorFlow holds it
        except UnicodeDecodeError:
            return pa.array(cells, pa.binary())
    if isinstance(cells[0], np.ndarray) and cells[0].ndim:
        return arrow_column(np.stack(cells))
    return pa.array(cells)
