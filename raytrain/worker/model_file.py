"""Writes the final model and what is needed to read it into the run's directory, and loses neither silently.

Runs in: every Train worker; only the chief writes into the run's directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import keras

from raytrain.files import write_whole
from raytrain.run.object_store import ObjectStore, join
from raytrain.run.run_paths import RunPaths
from raytrain.worker.checkpoints import backoff
from raytrain.worker.working_directory import PREFIX

PATIENCE_S = 120.0


class StorageError(OSError):
    """A disk or the run's directory would not take the final model; the message says where it is, if anywhere."""


def save_model(model: keras.Model, paths: RunPaths, *, rank: int, notice: Callable[[str], None]) -> Path:
    """Writes `model.keras`, aside and then renamed; its weights alone where Keras cannot save the model whole.

    Every rank goes through the motions, because reading a metric's state may be a collective; what the others write is
    thrown away. The file is made on this machine's own disk first, so that storage can be tried again without them.

    Returns:
        What was written, `model.keras` or `model.weights.h5`.

    Raises:
        StorageError: this machine's disk does not take it; or storage failed for `PATIENCE_S`, and the file on this
            machine is kept.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"raytrain-{paths.run}-"))
    with contextlib.ExitStack() as leaving:
        leaving.callback(shutil.rmtree, folder, ignore_errors=True)
        made = _make(model, folder, paths, notice)
        target = paths.root / made.name
        if rank == 0:
            try:
                publish(made, target, uri=paths.uri, notice=notice)
            except StorageError:
                leaving.pop_all()  # the only copy is in there
                raise
    return target


def publish(
    made: Path,
    target: Path,
    *,
    notice: Callable[[str], None],
    uri: str | None = None,
    patience_s: float | None = None,
) -> None:
    """Copies a file to storage, whole or not at all, trying again for a while.

    Args:
        uri: of the object store's folder that it goes to in place of the target's.

    Raises:
        StorageError: it could not be done; `made` is left where it is.
    """
    deadline = monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    shown = target if uri is None else join(uri, target.name)
    failures = 0
    while True:
        try:
            _copy(made, target) if uri is None else ObjectStore(uri).push(made, target.name)
            return
        except OSError as error:
            failures += 1
            if failures == 1:
                notice(f"{shown} cannot be written and is tried again: {error.strerror or error}")
            if monotonic() >= deadline:
                raise StorageError(
                    f"got {error.strerror or error} for {shown}, and the final model is kept as {made} on this node"
                ) from error
            sleep(min(backoff.wait_s(failures), max(0.0, deadline - monotonic())))


def write_summary(model: keras.Model, path: Path) -> None:
    """Keras' own summary; the optimizer is left out of it, as it is before training."""
    lines: list[str] = []
    compiled, model.compiled = model.compiled, False
    try:
        model.summary(print_fn=lambda line, **_: lines.append(line))
    finally:
        model.compiled = compiled
    write_whole(path, "\n".join(lines) + "\n")


def copy_code(folder: Path, target: Path) -> None:
    """Keeps the user's own Python files with the run: a saved model may need them to be loaded."""
    for file in code_files(folder):
        place = target / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f".{place.name}.tmp")
        shutil.copyfile(file, aside)
        aside.replace(place)


def code_files(folder: Path) -> list[Path]:
    """The user's own Python files."""
    return [
        file
        for file in folder.rglob("*.py")
        if file.is_file() and not file.relative_to(folder).parts[0].startswith(PREFIX)
    ]


def _make(model: keras.Model, folder: Path, paths: RunPaths, notice: Callable[[str], None]) -> Path:
    made = folder / paths.model.name
    try:
        try:
            model.save(made)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  what the user's `get_config` raises
            made.unlink(missing_ok=True)
            made = folder / paths.weights.name
            model.save_weights(made)
            why = str(error).strip().partition("\n")[0]
            notice(f"the model cannot be saved whole, only its weights, as {made.name}: {why}")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        expected = "a disk of this node that takes the final model before it goes to storage"
        raise StorageError(f"got {why} for {made}, expected {expected}; make room there and resume the run") from error
    return made


def _copy(made: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(made, aside)
    _flush_to_disk(aside)
    aside.rename(target)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
