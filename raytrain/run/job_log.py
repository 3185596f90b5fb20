"""The job's log on the dashboard, which is the driver's standard output.

Runs in: the driver.
"""

from __future__ import annotations

import contextlib


def say(text: str) -> None:
    """Prints a line; one that cannot be printed is lost, such as when the user's code has closed the output."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(text, flush=True)  # noqa: T201
