"""The entrypoint's own steps that need no cluster."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from raytrain.driver.__main__ import keep_job
from raytrain.run import RunPaths
from raytrain.spec.request import REQUEST_FILE


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    found = RunPaths(tmp_path / "runs/digits-1")
    found.root.mkdir(parents=True)
    return found


def test_the_job_is_kept_as_it_came(paths: RunPaths, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    for name, text in {
        REQUEST_FILE: '{"run": 1}',
        "model.py": "x = 1",
        "a/b.csv": "1",
        "__pycache__/m.pyc": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    for _ in range(2):  # a later attempt keeps its own
        keep_job(paths, folder)

    assert paths.request.read_text() == '{"run": 1}'
    with zipfile.ZipFile(paths.package) as archive:
        assert sorted(archive.namelist()) == [REQUEST_FILE, "a/b.csv", "model.py"]
        assert archive.read("model.py") == b"x = 1"
    assert sorted(path.name for path in paths.root.iterdir()) == ["job.zip", "request.json"]
