"""One line of what a library's error says in many.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from __future__ import annotations


def reason_of(error: BaseException) -> str:
    """The first line of an error's text, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". Please ")[0] if lines else type(error).__name__
