"""One local Ray for all tests of the driver that need one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import ray


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    """Ray with four CPUs, whatever the machine has."""
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about settings of its own
        ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
