"""What a saved model's file tells without Keras: its kind, and what of it Keras does not bring along."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrain.spec.file_errors import reading

SUFFIXES = (".keras", ".h5", ".hdf5")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN_TO_KERAS = ("keras", "keras_hub", "keras_cv", "keras_nlp")


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A file's content.

    Attributes:
        suffix: by which Keras tells how to read it: `.keras` or `.h5`; empty when it is of neither kind.
        own_classes: the names under which classes that are not Keras' own were saved; of a `.keras` file alone.
        has_lambda: whether it holds a function's bytecode, which Keras runs only where that is allowed; likewise.
    """

    suffix: str
    own_classes: tuple[str, ...] = ()
    has_lambda: bool = False


def inspect_saved_model(path: Path, shown: str) -> SavedModel:
    """Looks into a file.

    Raises:
        SpecError: it is a torn `.keras` file, or cannot be read.
    """
    with reading(shown, "a saved model"):
        suffix = suffix_of(path)
        if suffix != ".keras":
            return SavedModel(suffix=suffix)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    parts = list(_parts(config))
    own = [part["registered_name"] for part in parts if _is_own_class(part)]
    return SavedModel(
        suffix=suffix,
        own_classes=tuple(dict.fromkeys(own)),
        has_lambda=any(part.get("class_name") == "__lambda__" for part in parts),
    )


def suffix_of(path: Path) -> str:
    """What the file's name has to end with for Keras to read it, whatever it is called."""
    with path.open("rb") as file:
        begins = file.read(len(_HDF5))
    if begins == _HDF5:
        return ".h5"
    return ".keras" if zipfile.is_zipfile(path) else ""


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """The configuration of each object, what the model was compiled with left out: it may be compiled anew."""
    if isinstance(value, list):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, dict):
        if "class_name" in value:
            yield value
        for key, item in value.items():
            if key not in ("compile_config", "build_config"):
                yield from _parts(item)


def _is_own_class(part: dict[str, Any]) -> bool:
    module, name = part.get("module") or "", part.get("registered_name")
    return isinstance(name, str) and module != "builtins" and module.partition(".")[0] not in _KNOWN_TO_KERAS
