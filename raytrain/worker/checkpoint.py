"""Checkpoints at an epoch's end: everything that decides the future, as plain arrays and JSON, never pickle.

Runs in: every Train worker reads; only the chief writes.

A checkpoint is a directory `epoch-<k>` with `variables.npz` (weights, optimizer, seed generators, statistics, in the
model's own order), `best.npz` (the best epoch's weights, when they are to be restored), `state.json` and, last,
`MANIFEST.json` with a SHA-256 of each file. It is written under another name and renamed; a reader that finds a hash
wrong skips to the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

_NAME = re.compile(r"epoch-(\d+)")
_CALLBACK = re.compile(r"callback-(\d+)\.npz")
MANIFEST = "MANIFEST.json"
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        epoch: the last one that is done, counted from 0.
        state: whatever else decides the future, as JSON.
        callback_weights: weights that a callback of the user's keeps, by its place among them.
    """

    epoch: int
    variables: list[Array]
    best_weights: list[Array] | None
    state: dict[str, Any]
    callback_weights: dict[int, list[Array]] = field(default_factory=dict)


def write(root: Path, snapshot: Snapshot, *, keep: int) -> Path:
    """Commits a checkpoint under `root` and removes all but the newest `keep`."""
    final = path_of(root, snapshot.epoch)
    aside = root / f".{final.name}.{os.getpid()}.tmp"
    for left in root.glob(".epoch-*.tmp"):  # by a chief that was killed
        shutil.rmtree(left)
    aside.mkdir(parents=True)
    _save(aside / "variables.npz", snapshot.variables)
    if snapshot.best_weights is not None:
        _save(aside / "best.npz", snapshot.best_weights)
    for place, weights in snapshot.callback_weights.items():
        _save(aside / f"callback-{place}.npz", weights)
    (aside / "state.json").write_text(json.dumps({"epoch": snapshot.epoch, **snapshot.state}))
    manifest = {file.name: _sha256(file) for file in sorted(aside.iterdir())}
    (aside / MANIFEST).write_text(json.dumps(manifest))
    for file in aside.iterdir():
        _flush_to_disk(file)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    _flush_to_disk(root)
    later = [path for path in _newest_first(root) if path.name > final.name]  # broken, of a history that was left
    for old in [*later, *[path for path in _newest_first(root) if path not in later][keep:]]:
        shutil.rmtree(old)
    return final


def read_newest(root: Path, *, skipped: Callable[[Path, str], None]) -> tuple[Path, Snapshot] | None:
    """The newest whole checkpoint under `root`; `skipped` is told of each broken one passed over, and why."""
    for path in _newest_first(root):
        try:
            return path, read(path)
        except (OSError, ValueError, KeyError) as error:
            skipped(path, str(error))
    return None


def path_of(root: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch, counted from 0, stands."""
    return root / f"epoch-{epoch:06d}"


def read(path: Path) -> Snapshot:
    """Reads one checkpoint.

    Raises:
        OSError, ValueError, KeyError: it is torn or corrupt.
    """
    manifest = json.loads((path / MANIFEST).read_text())
    for name, digest in manifest.items():
        if _sha256(path / name) != digest:
            raise ValueError(f"{name} does not match its checksum")
    state = json.loads((path / "state.json").read_text())
    best = path / "best.npz"
    return Snapshot(
        epoch=state.pop("epoch"),
        variables=_load(path / "variables.npz"),
        best_weights=_load(best) if best.name in manifest else None,
        state=state,
        callback_weights={
            int(match[1]): _load(path / name) for name in manifest if (match := _CALLBACK.fullmatch(name))
        },
    )


def assign_all(variables: Sequence[Any], values: Sequence[Array]) -> None:
    """Sets variables to saved values, in order.

    Raises:
        ValueError: the model is not the one that was saved.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    saved = [value.shape for value in values]
    if shapes != saved:
        raise ValueError(f"the checkpoint holds {len(saved)} variables that do not fit the model's {len(shapes)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _newest_first(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    found = [(int(match[1]), path) for path in root.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _save(path: Path, arrays: Sequence[Array]) -> None:
    """Arrays under `<index>.<type>`; those of types that are not NumPy's own, such as bfloat16, as bytes."""
    named: dict[str, Any] = {f"{index}.{array.dtype.name}": _plain(array) for index, array in enumerate(arrays)}
    np.savez(path, **named)


def _load(path: Path) -> list[Array]:
    with np.load(path, allow_pickle=False) as archive:
        keys = sorted(archive.files, key=lambda key: int(key.partition(".")[0]))
        return [_of_type(archive[key], key.partition(".")[2]) for key in keys]


def _plain(array: Array) -> Array:
    return array if array.dtype.isbuiltin == 1 else array.view(f"V{array.dtype.itemsize}")


def _of_type(array: Array, name: str) -> Array:
    return array.view(getattr(ml_dtypes, name)) if array.dtype.kind == "V" else array


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
