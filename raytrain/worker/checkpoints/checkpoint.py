"""Checkpoints: everything that decides the future, as plain arrays and JSON, never pickle.

Runs in: every Train worker reads; only the chief writes.

A checkpoint is a directory, `epoch-<k>` at the end of an epoch and `epoch-<k>-step-<n>` within one, with
`variables.npz` (weights, optimizer, seed generators, statistics, in the model's own order), `best.npz` (the best
epoch's weights, when they are to be restored), within an epoch `rank-<r>.npz` (what differs between the workers until
the epoch ends), `state.json` and, last, `MANIFEST.json` with a SHA-256 of each file. It is written under another name
and renamed; a reader that finds a hash wrong skips to the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from raytrain.run.events import Best, EpochEnd

_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?(?:\.(\d+))?")
_CALLBACK = re.compile(r"callback-(\d+)\.npz")
MANIFEST = "MANIFEST.json"
Array = npt.NDArray[Any]


@dataclass(frozen=True, order=True)
class CheckpointName:
    """Where in the training a checkpoint was taken, which names its directory; later ones are greater.

    Attributes:
        epochs_done: whole epochs.
        step: steps done of the next one; 0 at an epoch's end.
        again: how many checkpoints of the same moment came before and must not be touched until this one stands.
    """

    epochs_done: int
    step: int = 0
    again: int = 0

    @classmethod
    def parse(cls, name: str) -> CheckpointName | None:
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        epoch, step, again = (int(part or 0) for part in match.groups())
        return cls(epoch if step else epoch + 1, step, again)

    @property
    def name(self) -> str:
        within = f"epoch-{self.epochs_done:06d}-step-{self.step:06d}"
        moment = within if self.step else f"epoch-{self.epochs_done - 1:06d}"
        return f"{moment}.{self.again}" if self.again else moment


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a checkpoint holds.

    Attributes:
        epoch: the last one that is done, counted from 0; -1 when none is.
        step: steps done of the epoch after; 0 at an epoch's end.
        state: whatever else decides the future, as JSON.
        callback_weights: weights that a callback of the user's keeps, by its place among them.
        ranks: within an epoch, what each worker has of its own (see `pack`).
    """

    epoch: int
    step: int = 0
    variables: list[Array]
    best_weights: list[Array] | None
    state: dict[str, Any]
    callback_weights: dict[int, list[Array]] = field(default_factory=dict)
    ranks: list[bytes] = field(default_factory=list)

    @property
    def reports(self) -> list[EpochEnd]:
        """What the chief told of the newest epochs; the driver may have died before it noted them."""
        return [_report_of(body) for body in self.state.get("reports", [])]


def _report_of(body: dict[str, Any]) -> EpochEnd:
    """One of a state; version 0.1 kept the rows of each rank in place of what follows from them."""
    body = body | {"best": None if body["best"] is None else Best(**body["best"])}
    if "rank_rows" not in body:
        return EpochEnd(**body)
    return EpochEnd.measured(**{name: value for name, value in body.items() if name != "rank"})


def write(root: Path, snapshot: Snapshot, *, keep: int, at: Callable[[str], None] = lambda point: None) -> Path:
    """Commits a checkpoint under `root` and removes what `kept` does not name.

    Args:
        at: called between any two steps of it that change the disk, with the name of what was done.
    """
    place = _free_place(root, snapshot)
    aside = root / f".{place.name}.{os.getpid()}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _fill(aside, snapshot, at)
        final = root / place.name
        aside.rename(final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)  # a full disk must not be kept full by what failed
        raise
    at("renamed")
    _flush_to_disk(root)
    with contextlib.suppress(OSError):  # what cannot be removed now is removed after a later save
        _prune(root, place, best_epoch=snapshot.state.get("progress", {}).get("best_epoch"), keep=keep, at=at)
    return final


def kept(
    places: Sequence[CheckpointName], *, newest: CheckpointName, best_epoch: int | None, keep: int
) -> set[CheckpointName]:
    """Which checkpoints stay when `newest` has just been written.

    The newest `keep`, the newest at an epoch's end (which another number of workers can go on from, too) and the best
    epoch's. What is later than the one just written is broken, of a history that was left.
    """
    latest = {(place.epochs_done, place.step): place for place in sorted(places) if place <= newest}
    ordered = sorted(latest.values(), reverse=True)
    epoch_ends = [place for place in ordered if place.step == 0]
    best = [place for place in epoch_ends if best_epoch is not None and place.epochs_done == best_epoch + 1]
    return {*ordered[:keep], *epoch_ends[:1], *best}


def read_newest(
    root: Path, *, skipped: Callable[[Path, str], None], usable: Callable[[Snapshot], bool] = lambda snapshot: True
) -> tuple[Path, Snapshot] | None:
    """The newest whole checkpoint under `root` that is `usable`; `skipped` is told of each broken one, and why."""
    for place in sorted(_places(root), reverse=True):
        path = root / place.name
        try:
            snapshot = read(path)
        except (OSError, ValueError, KeyError) as error:
            skipped(path, str(error))
            continue
        if usable(snapshot):
            return path, snapshot
    return None


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
        step=state.pop("step", 0),
        variables=_load(path / "variables.npz"),
        best_weights=_load(best) if best.name in manifest else None,
        state=state,
        callback_weights={
            int(match[1]): _load(path / name) for name in manifest if (match := _CALLBACK.fullmatch(name))
        },
        ranks=[(path / f"rank-{rank}.npz").read_bytes() for rank in range(state.pop("ranks", 0))],
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


def pack(arrays: Sequence[Array], state: dict[str, Any]) -> bytes:
    """Arrays and JSON as the bytes of one npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, state=np.frombuffer(json.dumps(state).encode(), np.uint8), **_named(arrays))
    return buffer.getvalue()


def unpack(packed: bytes) -> tuple[list[Array], dict[str, Any]]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
        return _unnamed(archive), json.loads(archive["state"].tobytes())


def _fill(folder: Path, snapshot: Snapshot, at: Callable[[str], None]) -> None:
    """Writes every file of a checkpoint, the manifest last, all of it flushed to the disk."""
    at("created")
    arrays = {"variables.npz": snapshot.variables}
    if snapshot.best_weights is not None:
        arrays["best.npz"] = snapshot.best_weights
    arrays |= {f"callback-{place}.npz": weights for place, weights in snapshot.callback_weights.items()}
    for name, values in arrays.items():
        np.savez(folder / name, **_named(values))
        at(name)
    for rank, packed in enumerate(snapshot.ranks):
        (folder / f"rank-{rank}.npz").write_bytes(packed)
        at(f"rank-{rank}.npz")
    state = {**snapshot.state, "epoch": snapshot.epoch, "step": snapshot.step, "ranks": len(snapshot.ranks)}
    (folder / "state.json").write_text(json.dumps(state))
    at("state.json")
    manifest = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    at(MANIFEST)
    for file in [*sorted(folder.iterdir()), folder]:
        _flush_to_disk(file)
    at("flushed")


def _prune(root: Path, newest: CheckpointName, *, best_epoch: int | None, keep: int, at: Callable[[str], None]) -> None:
    """Removes the checkpoints that are not `kept`, and what killed writers left."""
    places = _places(root)
    for old in set(places) - kept(places, newest=newest, best_epoch=best_epoch, keep=keep):
        (root / old.name).rename(root / f".{old.name}.old.tmp")  # one that is half removed must not be read
        at(f"{old.name} set aside")
    for left in root.glob(".epoch-*.tmp"):
        shutil.rmtree(left)
        at(f"{left.name} removed")


def _free_place(root: Path, snapshot: Snapshot) -> CheckpointName:
    place = CheckpointName(snapshot.epoch + 1, snapshot.step)
    same = [other.again for other in _places(root) if replace(other, again=0) == place]
    return replace(place, again=max(same) + 1) if same else place


def _places(root: Path) -> list[CheckpointName]:
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    return [place for name in names if (place := CheckpointName.parse(name)) is not None and place.name == name]


def _named(arrays: Sequence[Array]) -> dict[str, Any]:
    """Arrays under `<index>.<type>`; those of types that are not NumPy's own, such as bfloat16, as bytes."""
    return {f"{index}.{array.dtype.name}": _plain(array) for index, array in enumerate(arrays)}


def _unnamed(archive: Any) -> list[Array]:
    keys = sorted((key for key in archive.files if key != "state"), key=lambda key: int(key.partition(".")[0]))
    return [_of_type(archive[key], key.partition(".")[2]) for key in keys]


def _load(path: Path) -> list[Array]:
    with np.load(path, allow_pickle=False) as archive:
        return _unnamed(archive)


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
