"""How long to wait before storage that failed is tried again. Pure.

Runs in: every Train worker.
"""

from __future__ import annotations

_FIRST_S = 0.5
_LONGEST_S = 10.0


def wait_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, up to ten."""
    return min(_LONGEST_S, _FIRST_S * 2.0 ** (failures - 1))
