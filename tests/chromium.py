"""A headless browser on a page, Debian's Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

_INSTALL_S = 600


@cache
def _program() -> str:
    if shutil.which("chromium") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        command = "apt-get install -qy chromium || (apt-get update -q && apt-get install -qy chromium)"
        subprocess.run(["sh", "-c", command], capture_output=True, timeout=_INSTALL_S, check=False)
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("these tests need Chromium (Debian: apt install chromium)")
    return found


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Playwright's browser; `new_page` opens one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        yield opened
        opened.close()
