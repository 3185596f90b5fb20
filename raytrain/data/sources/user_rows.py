"""What the user's own function returns, as a table or a Ray Dataset.

Runs in: the driver.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.data
from ray import cloudpickle

from raytrain.data.sources.row_values import advice, table_of
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
        table = table_of(value)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"columns from {ref} that make no table: {error}", expected="one type a column")
        ) from error
    if table is None:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"{type(value).__module__}.{type(value).__qualname__} from {ref}",
                expected="a Ray Dataset, a frame, an Arrow table, a dict of arrays, a list or generator of rows, "
                "or a tf.data.Dataset",
                fix=advice(value),
            )
        )
    return table
