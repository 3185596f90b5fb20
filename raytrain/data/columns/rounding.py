"""Whole numbers that are to be fractions stay the numbers they are.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raytrain.errors import Problem, UserCodeError


def check_exact(whole: npt.NDArray[Any], name: str, kind: np.dtype[Any]) -> None:
    """Refuses whole numbers of column `name` that fractions of type `kind` would round.

    Raises:
        UserCodeError: there are such.
    """
    limit = 2 ** (np.finfo(kind).nmant + 1)
    if (whole > limit).any() or (whole < -limit).any():
        raise UserCodeError(
            Problem(
                field="data",
                got=f"a whole number beyond {limit} in column `{name}`, to be {kind}",
                expected=f"numbers from -{limit} to {limit}, which {kind} does not round",
                fix=f"data.columns: {{{name}: {{dtype: float64}}}}",
            )
        )


def signed(whole: npt.NDArray[Any], name: str) -> npt.NDArray[np.int64]:
    """Whole numbers of column `name` as int64.

    Raises:
        UserCodeError: one is too large.
    """
    if whole.dtype == np.uint64 and whole.size and whole.max() >= 2**63:
        raise UserCodeError(
            Problem(field="data", got=f"{whole.max()} in column `{name}`", expected="whole numbers below 2**63")
        )
    return whole.astype(np.int64)


def whole_numbers(decimals: Any, name: str) -> Any:
    """Decimals of column `name` that have no fraction as int64.

    Raises:
        UserCodeError: one is too large.
    """
    try:
        return decimals.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise UserCodeError(
            Problem(
                field="data",
                got=f"a decimal beyond 64 bits in column `{name}`",
                expected="whole numbers below 2**63",
                fix=f"data.columns: {{{name}: {{dtype: float64}}}}",
            )
        ) from error
