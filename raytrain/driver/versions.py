"""What a run's answer may depend on beside its job: the versions that are installed where it runs.

Runs in: the driver.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform

from raytrain import __version__

_PACKAGES = ("ray", "tensorflow", "keras", "numpy", "pyarrow")


@functools.cache
def installed_versions() -> dict[str, str]:
    """By package, of what is installed on the driver's node; `python` and `raytrain` among them."""
    found = {"raytrain": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
