"""What the tests of the client's side share: a stand-in for a dashboard, an empty state, folders to upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.stand_in import StandIn


@pytest.fixture
def dashboard() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose state directory is empty."""
    return {"RAYTRAIN_STATE_DIR": str(tmp_path / "state")}


MakeFolder = Callable[[dict[str, str]], Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Makes a folder with the files given as path and text."""

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / "job"
        root.mkdir(exist_ok=True)
        for path, text in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return root

    return make
