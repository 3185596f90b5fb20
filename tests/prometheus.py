"""Prometheus' own programs, as Debian packages them, and a Prometheus that answers."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_DOWNLOAD_S = 300


@cache
def program(name: str) -> str:
    """`prometheus` or `promtool`: the installed one, else that of Debian's package, unpacked beside this Python."""
    if found := shutil.which(name):
        return found
    return str(_unpacked() / "usr" / "bin" / name)


def _unpacked() -> Path:
    kept = Path(sys.prefix) / "share" / "prometheus-package"
    if kept.exists():
        return kept
    folder = Path(tempfile.mkdtemp(dir=sys.prefix))
    download = "(apt-get download -q prometheus || (apt-get update -q && apt-get download -q prometheus))"
    command = f"{download} && dpkg-deb -x prometheus_*.deb ."
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False
    )
    if done.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"these tests need Prometheus (Debian: apt install prometheus): {done.stderr[-500:]}")
    with contextlib.suppress(OSError):  # another process was faster
        folder.rename(kept)
    return kept


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def ask(url: str, query: str) -> list[dict[str, Any]]:
    """What a Prometheus answers to PromQL, now: a `metric` and a `value` each."""
    with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=30) as reply:
        answer = json.load(reply)
    assert answer["status"] == "success", answer
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result
