"""What every test may rely on."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.cluster.stand_in import StandIn
from tests.s3 import S3

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


@pytest.fixture(scope="session")
def object_store() -> S3:
    """The S3 server that `ray_cluster` knows of; those who need it start it."""
    return S3()


@pytest.fixture(scope="session")
def ray_cluster(object_store: S3) -> Iterator[None]:
    """One local Ray with four CPUs, whatever the machine has, for all tests that need no dashboard."""
    import ray

    with object_store.in_environment():
        ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about settings of its own
        ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def dashboard() -> Iterator[StandIn]:
    server = StandIn()
    yield server
    server.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose state directory is empty, with a token, so that none is made in this user's home."""
    return {"RAYTRAIN_STATE_DIR": str(tmp_path / "state"), "RAY_AUTH_TOKEN": "a-token"}


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
