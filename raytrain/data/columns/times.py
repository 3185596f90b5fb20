"""Times, dates and durations as numbers of a unit that the spec names.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.column_options import ColumnSpec

_SECONDS = {
    "days": Fraction(86400),
    "hours": Fraction(3600),
    "minutes": Fraction(60),
    "seconds": Fraction(1),
    "milliseconds": Fraction(1, 10**3),
    "microseconds": Fraction(1, 10**6),
    "nanoseconds": Fraction(1, 10**9),
}
_ARROW_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def is_time(kind: pa.DataType) -> bool:
    return bool(types.is_temporal(kind))


def whole_units(flat: Any, name: str, options: ColumnSpec) -> Any:
    """The column in units of `options.timestamp`, rounded down unless `options.dtype` is one of fractions.

    Moments count from 1970-01-01 UTC, times of day from midnight; text is read as ISO 8601. Empty cells stay empty.

    Raises:
        UserCodeError: the column holds no times.
    """
    if types.is_large_string(flat.type):
        flat = _parsed(flat, name)
    kind = flat.type
    if not is_time(kind) or types.is_interval(kind):
        raise _no_times(f"column `{name}` of type {kind}", name)
    assert options.timestamp is not None
    ratio = _unit_s(kind) / _SECONDS[options.timestamp]
    counted = flat.cast(pa.int32()).cast(pa.int64()) if kind.bit_width == 32 else flat.cast(pa.int64())
    empty = np.asarray(counted.is_null())
    counts = counted.fill_null(0).to_numpy()
    if options.dtype and options.dtype.startswith("float"):
        units: Any = counts * float(ratio) if ratio >= 1 else counts / float(1 / ratio)
    elif ratio >= 1:
        if np.abs(counts).max(initial=0) > np.iinfo(np.int64).max // int(ratio):
            raise _too_far(np.abs(counts).max() * float(ratio), name, options.timestamp)
        units = counts * int(ratio)
    else:
        units = counts // int(1 / ratio)
    return pa.array(units, mask=empty)


def _unit_s(kind: pa.DataType) -> Fraction:
    if types.is_date32(kind):
        return _SECONDS["days"]
    return _SECONDS["milliseconds"] if types.is_date64(kind) else _SECONDS[_ARROW_UNITS[kind.unit]]


def _parsed(flat: Any, name: str) -> Any:
    with contextlib.suppress(pa.ArrowException):
        return flat.cast(pa.timestamp("us", "UTC"))  # takes only text in which every row has its zone
    try:
        return flat.cast(pa.timestamp("us"))
    except pa.ArrowException as error:
        raise _no_times(f"text in column `{name}`: {error}", name) from error


def _too_far(units: float, name: str, unit: str) -> UserCodeError:
    return UserCodeError(
        Problem(
            field=f"data.columns.{name}.timestamp",
            got=f"a time {units:.2g} {unit} from 1970 in column `{name}`",
            expected="times whose number fits 64 bits",
            fix="choose a coarser unit, such as seconds",
        )
    )


def _no_times(got: str, name: str) -> UserCodeError:
    return UserCodeError(
        Problem(field=f"data.columns.{name}.timestamp", got=got, expected="times, dates, durations or ISO 8601 text")
    )
