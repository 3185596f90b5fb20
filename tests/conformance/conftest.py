from __future__ import annotations

from itertools import groupby

import pytest

from tests.conformance.cases import ROWS
from tests.conformance.test_matrix import TABLE, WORKERS
from tests.worker.conftest import pools

__all__ = ["pools"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the matrix: the largest difference from plain Keras in weights, history and test metrics."""
    if not TABLE:
        return
    width = max(len(name) for name in TABLE)
    heads = "".join(f"{f'{count} workers':>12}" for count in WORKERS)
    terminalreporter.section("largest difference from plain Keras in one process")
    for _, names in groupby(TABLE, key=lambda name: ROWS[name].group):
        terminalreporter.line(f"{'':<{width}}{heads}{'allowed':>12}")
        for name in names:
            found = "".join(f"{TABLE[name].get(count, '-'):>12}" for count in WORKERS)
            terminalreporter.line(f"{name:<{width}}{found}{ROWS[name].tolerance:>12.0e}")
