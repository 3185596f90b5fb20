"""Makes lists of any length equally long.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec

Array = npt.NDArray[Any]


def as_lists(flat: Any) -> Any:
    """Single values as lists of one, empty cells as lists of none: so TFRecords give lists of at most one value."""
    offsets = np.cumsum([0, *flat.is_valid().to_pylist()])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat.drop_null())


def pad_lists(values: Array, lengths: npt.NDArray[np.int64], name: str, options: ColumnSpec) -> Array:
    """The lists as `data.columns` says; see `pad_elements`."""
    assert options.pad is not None
    return pad_elements(
        values,
        lengths,
        length=options.pad,
        value=options.pad_value,
        truncate=options.truncate,
        name=name,
        field=f"data.columns.{name}.pad",
    )


def _holds(kind: np.dtype[Any], value: int | float | str) -> bool:
    if kind.kind not in "iu" or isinstance(value, str):
        return True
    return float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def pad_elements(
    values: Array,
    lengths: npt.NDArray[np.int64],
    *,
    length: int,
    value: int | float | str | None,
    truncate: bool,
    name: str,
    field: str,
) -> Array:
    """Lists as one array (rows, length, …).

    Args:
        values: the elements of all lists, one list after the other, (elements, …).
        lengths: of each list, (rows,).
        value: what shorter lists end with; None stands for 0, and for "" among text.
        truncate: whether longer lists lose their last elements.

    Raises:
        UserCodeError: a list is too long, or the value is of another kind than the elements.
    """
    if not truncate and len(lengths) and lengths.max() > length:
        raise UserCodeError(
            Problem(
                field=field,
                got=f"a list of {lengths.max()} elements in column `{name}`",
                expected=f"{length} or fewer",
                fix=f"pad to {lengths.max()}, or say truncate: true",
            )
        )
    is_text = values.dtype == object
    value = ("" if is_text else 0) if value is None else value
    if isinstance(value, str) != is_text or not _holds(values.dtype, value):
        kind = "text" if is_text else f"{values.dtype}"
        raise UserCodeError(Problem(field=field, got=f"{value!r} to pad {kind} in column `{name}`", expected=kind))
    padded = np.full((len(lengths), length, *values.shape[1:]), value, dtype=values.dtype)
    places = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded[np.arange(length) < lengths[:, None]] = values[places < length]
    return padded
