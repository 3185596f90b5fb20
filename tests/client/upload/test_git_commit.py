"""Tests of the commit that a job's folder is at."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from raytrain.client.upload.git_commit import commit_of


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_clean_and_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = commit_of(tmp_path)
    (tmp_path / "a").write_text("2")
    changed = commit_of(tmp_path)

    assert clean is not None
    assert len(clean) == 12
    assert changed == f"{clean}, with uncommitted changes"


def test_no_checkout_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit_of(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert commit_of(tmp_path) is None
