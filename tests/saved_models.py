"""Files that look like saved models to who does not load them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
OWN = {"module": "model", "class_name": "Squash", "config": {}, "registered_name": "shop>Squash"}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}


def write_saved_model(path: Path, *layers: dict[str, Any]) -> bytes:
    """A `.keras` file of these layers' configurations; returns its content."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [DENSE, *layers]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
    return path.read_bytes()
