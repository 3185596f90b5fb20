"""The commit of the user's folder, for people who later ask what a run was made from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_TIMEOUT_S = 3.0


def commit_of(folder: Path) -> str | None:
    """`55c694e1d2f3`, or `55c694e1d2f3, with uncommitted changes`; None where git or a checkout is missing."""
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return f"{commit}, with uncommitted changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
