"""What every test may rely on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A shell that starts the tests in the background has them ignore SIGINT, and so would every command they start; the
# tests of Ctrl-C send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases each time, so that a failure comes of the change under test; `make search` looks among new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=3000, deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def users_files_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's `model.py` or `data.py` that a test wrote and loaded is gone for the next one."""
    yield
    written = str(tmp_path_factory.getbasetemp())
    sys.path[:] = [path for path in sys.path if not path.startswith(written)]
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(written):
            del sys.modules[name]
