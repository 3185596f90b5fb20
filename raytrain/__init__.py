"""One command from a Keras model to a fast, exact, fault-tolerant run on a Ray cluster.

    run = raytrain.submit("jobs/digits", workers=4)
    run.wait().last_metrics

Everything here is looked up when it is first used, so `import raytrain` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raytrain.client.api import check as check
    from raytrain.client.api import get as get
    from raytrain.client.api import plan as plan
    from raytrain.client.api import runs as runs
    from raytrain.client.api import submit as submit
    from raytrain.client.api import validate as validate
    from raytrain.client.clusters import doctor as doctor
    from raytrain.client.clusters import down as down
    from raytrain.client.clusters import monitor as monitor
    from raytrain.client.clusters import up as up
    from raytrain.client.comparison import compare as compare
    from raytrain.client.context import context as context
    from raytrain.client.fit_live import fit as fit
    from raytrain.client.job_in_python import JobSpec as JobSpec
    from raytrain.client.run import Run as Run
    from raytrain.client.try_job import fast_dev_run as fast_dev_run
    from raytrain.client.ui.serve import ui as ui
    from raytrain.errors import ClusterError as ClusterError
    from raytrain.errors import ClusterIncompatible as ClusterIncompatible
    from raytrain.errors import ClusterUnreachable as ClusterUnreachable
    from raytrain.errors import NotFound as NotFound
    from raytrain.errors import RaytrainError as RaytrainError
    from raytrain.errors import RunError as RunError
    from raytrain.errors import RunFailed as RunFailed
    from raytrain.errors import RunStopped as RunStopped
    from raytrain.errors import SpecError as SpecError
    from raytrain.errors import StateUnknown as StateUnknown
    from raytrain.errors import UploadTooLarge as UploadTooLarge
    from raytrain.errors import UsageError as UsageError
    from raytrain.errors import UserCodeError as UserCodeError
    from raytrain.errors import WaitTimedOut as WaitTimedOut

__version__ = "0.2.0"

_DOOR = {
    "raytrain.client.api": ("submit", "plan", "validate", "check", "get", "runs"),
    "raytrain.client.clusters": ("monitor", "doctor", "up", "down"),
    "raytrain.client.comparison": ("compare",),
    "raytrain.client.context": ("context",),
    "raytrain.client.fit_live": ("fit",),
    "raytrain.client.job_in_python": ("JobSpec",),
    "raytrain.client.run": ("Run",),
    "raytrain.client.ui.serve": ("ui",),
    "raytrain.client.try_job": ("fast_dev_run",),
    "raytrain.errors": (
        *("RaytrainError", "UsageError", "SpecError", "ClusterError", "ClusterUnreachable", "ClusterIncompatible"),
        *("UploadTooLarge", "NotFound", "RunError", "RunFailed", "RunStopped", "StateUnknown", "WaitTimedOut"),
        "UserCodeError",
    ),
}
_MODULE_OF = {name: module for module, names in _DOOR.items() for name in names}
__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'raytrain' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
