"""What a proof holds for, so that a restart or a resumed run need not repeat it.

Runs in: every Train worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from raytrain import __version__
from raytrain.spec.job import JobSpec
from raytrain.worker.model_file import code_files

_VERSIONS = f"raytrain {__version__}, keras {keras.__version__}, tensorflow {tf.__version__}"
_NOT_OF_STEPS: Mapping[str, bool | set[str]] = {
    "name": True,
    "early_stopping": True,
    "scaling": True,
    "checkpoint": True,
    "restarts": True,
    "watchdog": True,
    "divergence": True,
    "storage": True,
    "environment": True,
    "fit": {"epochs", "initial_epoch", "validation_freq", "time_limit"},
}


def holds_for(spec: JobSpec, folder: Path) -> str:
    """Versions, and a digest of what decides a step: the user's code and most of the spec.

    Empty, which holds for nothing, where the code cannot be read.
    """
    digest = hashlib.sha256(spec.model_dump_json(exclude=_NOT_OF_STEPS).encode())
    try:
        for file in sorted(code_files(folder)):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    except OSError:
        return ""
    return f"{_VERSIONS}, {digest.hexdigest()[:16]}"
