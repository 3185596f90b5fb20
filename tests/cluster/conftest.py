"""What the tests of the client's side share: a stand-in for a dashboard, an empty state, folders to upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
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


@pytest.fixture
def set_the_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock forward by so many seconds, as far as processes notice.

    A test cannot set the real one. On Linux a process began so many ticks after the boot, and setting the clock moves
    the moment at which the machine says that it booted; so that is what is moved.
    """
    if not psutil.LINUX:
        pytest.skip("the moment when a process began is not told by way of the boot's on this system")
    booted = psutil.boot_time()
    return lambda seconds: monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + seconds)


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
