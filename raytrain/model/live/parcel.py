"""The files in which a live model travels: what each is called, on both sides.

Runs in: the process that calls `raytrain.fit`, and every Train worker.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.data.array_folder import write_arrays
from raytrain.run.object_store import ObjectStore, is_object_store, join, split
from raytrain.spec.peek.array_index import INDEX_FILE
from raytrain.spec.python_refs import LIVE_MODEL_FILE

PLACE_FILE = "live_model.json"
SHIM = '''\
"""Written by raytrain.fit: the model and the callbacks are those of the process that called it."""

from pathlib import Path

from raytrain.model.live.arrival import Arrival

arrival = Arrival(Path(__file__).parent)


def build_model():
    return arrival.model()


def callbacks():
    return arrival.callbacks()
'''


@dataclass(frozen=True)
class Parcel:
    """One folder of a run's directory, on this machine or in an object store.

    Attributes:
        directory: the run's, as the cluster sees it.
    """

    directory: str

    @property
    def given(self) -> str:
        """What the live process hands over."""
        return within(self.directory, "given")

    @property
    def trained(self) -> str:
        """What it gets back."""
        return within(self.directory, "trained")

    def arrays(self, split: str) -> str:
        return within(self.given, split)

    def write_place(self, folder: Path) -> None:
        (folder / LIVE_MODEL_FILE).write_text(SHIM)
        (folder / PLACE_FILE).write_text(json.dumps({"directory": self.directory}))

    @classmethod
    def of_job(cls, folder: Path) -> Parcel:
        return cls(json.loads((folder / PLACE_FILE).read_text())["directory"])


def within(place: str, name: str) -> str:
    """A folder's path or URI, within another."""
    return join(place, name) if is_object_store(place) else str(Path(place) / name)


def fetch(place: str, name: str) -> Path | None:
    """A file of a folder as this machine can read it; None where there is none."""
    if not is_object_store(place):
        path = Path(place) / name
        return path if path.is_file() else None
    target = Path(tempfile.mkdtemp(prefix="raytrain-live-")) / name
    return target if ObjectStore(place).pull(name, target) else None


def put(place: str, name: str, content: bytes) -> None:
    """Writes a file of a folder whole, or not at all."""
    if is_object_store(place):
        ObjectStore(place).write(name, content)
        return
    path = Path(place) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{name}.tmp")
    aside.write_bytes(content)
    aside.replace(path)


def put_arrays(place: str, parts: Mapping[str, Any]) -> None:
    """Writes rows as arrays; to a storage that is seen as a directory once, and without a copy in memory."""
    if not is_object_store(place):
        write_arrays(Path(place), parts)
        return
    above, name = split(place)
    with tempfile.TemporaryDirectory(prefix="raytrain-arrays-") as folder:
        write_arrays(Path(folder), parts)
        ObjectStore(above).push_folder(Path(folder), name, marker=INDEX_FILE)
