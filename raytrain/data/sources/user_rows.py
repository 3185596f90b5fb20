"""What the user's own function returns, as a table or a Ray Dataset.

Runs in: the driver.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
from ray import cloudpickle

from raytrain.data.sources.memory_tables import arrow_column, table_of_arrays
from raytrain.errors import Problem, UserCodeError
from raytrain.import_file import import_file, is_standing_in
from raytrain.spec.value_types import split_python_ref
from raytrain.user_code import call_reference, load_reference


def load_portable(ref: str, folder: Path) -> Any:
    """The user's `FILE.py:NAME`, fit to be sent to Ray Data tasks, which need not find the file under its name there.

    So are its neighbours where its name is another's: no other process can import those either.
    """
    loaded = load_reference(ref, folder)
    module = import_file(folder / split_python_ref(ref)[0], folder)
    cloudpickle.register_pickle_by_value(module)
    if is_standing_in(module):
        cloudpickle.register_pickle_by_value(sys.modules[module.__name__.partition(".")[0]])
    return loaded


def rows_of_user(ref: str, folder: Path, field: str) -> Any:
    """The table or Ray Dataset that the user's function `FILE.py:NAME` returns.

    Raises:
        UserCodeError: it cannot be called, or returned no data.
    """
    load_portable(ref, folder)
    return as_rows(call_reference(ref, folder), ref, field)


def as_rows(value: Any, ref: str, field: str) -> Any:
    """What the user's function returned, as a table or a Ray Dataset."""
    if isinstance(value, (pa.Table, ray.data.Dataset)):
        return value
    try:
        table = _table(value)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"columns from {ref} that make no table: {error}", expected="one type a column")
        ) from error
    if table is None:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"{type(value).__module__}.{type(value).__qualname__} from {ref}",
                expected="a Ray Dataset, pandas frame, Arrow table, dict of arrays, list of rows or tf.data.Dataset",
            )
        )
    return table


def _table(value: Any) -> pa.Table | None:
    """The table in a value of the types that are taken; None for any other."""
    if isinstance(value, dict):
        lengths = {name: len(column) for name, column in value.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        return table_of_arrays(value)
    if isinstance(value, list):
        return _table_of_rows(value)
    if type(value).__module__.startswith("pandas") and hasattr(value, "columns"):
        return pa.Table.from_pandas(value, preserve_index=False)
    if hasattr(value, "as_numpy_iterator"):
        return _table_of_rows(list(value.as_numpy_iterator()))
    return None


def _table_of_rows(rows: list[Any]) -> pa.Table:
    """Rows that are dicts of cells; cells may be arrays of any one shape."""
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
    if isinstance(cells[0], np.ndarray):
        return arrow_column(np.stack(cells))
    return pa.array(cells)
