"""The versions of Keras and TensorFlow whose insides the mends were written for.

Runs in: every Train worker.
"""

from __future__ import annotations

import os

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.package_checks import ALLOW_UNPROVEN, PROVEN_ON


def check_versions(**versions: str) -> None:
    """Refuses versions that this was not proven on, unless the environment says otherwise.

    Raises:
        UserCodeError: a package's version is another one.
    """
    if os.environ.get(ALLOW_UNPROVEN, "") not in ("", "0"):
        return
    for package, version in versions.items():
        if not any(version == proven or version.startswith(f"{proven}.") for proven in PROVEN_ON[package]):
            raise UserCodeError(
                Problem(
                    got=f"{package} {version} on a worker",
                    expected=" or ".join(f"{package} {proven}.x" for proven in PROVEN_ON[package]),
                    fix=f"install that version on the cluster, or try your luck with {ALLOW_UNPROVEN}=1",
                )
            )
