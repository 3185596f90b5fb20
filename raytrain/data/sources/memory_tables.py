"""Tables made in the driver's memory: rows in the spec, sets of scikit-learn, and arrays of numpy.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from raytrain.data.columns.nulls import masked_values
from raytrain.errors import Problem, UserCodeError
from raytrain.spec.peek.sklearn_sets import SKLEARN_SETS


def inline_table(value: Any, field: str) -> pa.Table:
    """The rows, or columns, that stand in the spec itself."""
    try:
        return pa.Table.from_pylist(value) if isinstance(value, list) else pa.table(value)
    except (pa.ArrowException, OverflowError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"rows that do not fit together: {error}", expected="one type a column")
        ) from error


def sklearn_table(name: str) -> pa.Table:
    """A set that comes with scikit-learn, under the columns of `raytrain.spec.peek.sklearn_sets`."""
    from sklearn import datasets

    facts = SKLEARN_SETS[name]
    loaded = getattr(datasets, f"load_{name}")()
    columns = {"features": loaded.data, "target": loaded.target}
    columns |= {alias: columns[original] for alias, original in facts.aliases.items()}
    columns |= {feature: loaded.data[:, index] for index, feature in enumerate(facts.features)}
    columns |= {target: loaded.target[:, index] for index, target in enumerate(facts.targets)}
    return table_of_arrays({key: np.asarray(value) for key, value in columns.items()})


def table_of_arrays(columns: dict[str, Any]) -> pa.Table:
    """A table of numpy arrays (rows, …), or what makes such.

    Arrays of more than one dimension become fixed-shape tensor columns; masked values of one dimension empty cells.

    Raises:
        UserCodeError: masked values in an array of more dimensions.
    """
    return pa.table({name: _column(value, name) for name, value in columns.items()})


def _column(value: Any, name: str) -> Any:
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        return pa.array(value, from_pandas=True)
    if library == "polars":
        return value.to_arrow()
    if not isinstance(value, (list, tuple)) or not value:
        return arrow_column(_as_array(value, name))
    if isinstance(value[0], (list, tuple)):
        array = _rectangle(value)
        return pa.array(value) if array is None else arrow_column(array)
    if np.ndim(value[0]):
        return arrow_column(_as_array(value, name))
    return pa.array(value)  # numpy would make text of numbers beside text


def _rectangle(lists: Any) -> Any:
    """Lists of one length as an array of numbers; None where they are of several, or hold something else."""
    try:
        array = np.asarray(lists)
    except ValueError:
        return None
    return array if array.dtype.kind in "biuf" else None


def _as_array(value: Any, name: str) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        if value.ndim == 1:
            return value
        if np.ma.is_masked(value):
            raise masked_values(f"column `{name}`, which has {value.ndim} dimensions")
    array = np.asarray(value)
    # numpy cuts bytes at their last zeros, such as a picture's.
    return np.array(value, dtype=object) if array.dtype.kind == "S" and not isinstance(value, np.ndarray) else array


def arrow_column(array: Any) -> pa.Array:
    """An array (rows, …) as one Arrow column."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 1:
        return pa.array(array)
    if array.ndim and not len(array):
        return pa.nulls(0)
    if array.dtype == np.bool_:
        array = array.astype(np.float32)  # Arrow has no tensors of booleans
    # By way of one dimension: numpy leaves a dimension of one row any stride, and Arrow wants the whole row's.
    return pa.FixedShapeTensorArray.from_numpy_ndarray(array.reshape(-1).reshape(array.shape))
