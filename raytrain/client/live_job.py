"""The job that a call of `raytrain.fit` is made into: handed over, followed, and taken back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain.client.display.show import in_notebook, say
from raytrain.client.read_job import CheckedJob, Overrides, read_job
from raytrain.client.run import Run
from raytrain.client.submit import Submitted, storage_for, submit
from raytrain.cluster.connect import Connection, connect
from raytrain.errors import NotFound, Problem, RunStopped, UsageError
from raytrain.run.object_store import ObjectStore, is_object_store
from raytrain.run.run_id import mint_run_id
from raytrain.run.run_paths import RunPaths

if TYPE_CHECKING:
    import keras

    from raytrain.model.live.parcel import Parcel
    from raytrain.model.live.rows import Rows


class LiveJob:
    """One call: the job that is made of it, and what comes back."""

    def __init__(
        self, model: keras.Model, callbacks: list[Any], fields: dict[str, Any], *, shuffle: bool, quiet: bool
    ) -> None:
        self._model, self._callbacks, self._fields = model, callbacks, fields
        self._shuffle, self._quiet = shuffle, quiet

    def run(
        self,
        train: Rows,
        validation: Rows | None,
        *,
        storage: str | os.PathLike[str] | None,
        address: str | None,
        overrides: Overrides | None,
    ) -> keras.callbacks.History:
        from raytrain.model.live.hand_over import packed
        from raytrain.model.live.parcel import Parcel, put

        splits = {"train": train} | ({"validation": validation} if validation is not None else {})
        kept = os.fspath(storage) if storage is not None else "~/raytrain"
        with contextlib.ExitStack() as undo:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="raytrain-fit-")))
            connection = connect(address, progress=self._say)
            here = connection.shares_this_machine
            files = list(
                packed(self._model, self._callbacks, shares_this_machine=here)
            )  # refused before any is written
            run = mint_run_id(self._fields["name"], now=datetime.now())
            parcel = Parcel(_directory(kept, run, connection))
            undo.callback(_remove, parcel.directory)
            for name, content in files:
                put(parcel.given, name, content)
            for split, rows in splits.items():
                _write(parcel.arrays(split), rows)
            parcel.write_place(folder)
            checked = read_job(None, folder=folder, fields=self._job(parcel, splits, kept), overrides=overrides)
            submitted = submit(
                checked.loaded, run=run, address=address, overrides=checked.overrides, progress=self._say
            )
            undo.pop_all().callback(shutil.rmtree, folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        return self._follow(submitted, parcel, splits, train, checked)

    def _job(self, parcel: Parcel, splits: Mapping[str, Rows], storage: str) -> dict[str, Any]:
        names = splits["train"].parts
        data: dict[str, Any] = {split: {"arrays": parcel.arrays(split)} for split in splits}
        label, weight = ("y" if "y" in names else None), ("w" if "w" in names else None)
        data |= {"features": "x", "shuffle": self._shuffle, "label": label, "weight": weight}
        return self._fields | {"data": data, "storage": storage}

    def _follow(
        self, submitted: Submitted, parcel: Parcel, splits: Mapping[str, Rows], train: Rows, checked: CheckedJob
    ) -> keras.callbacks.History:
        run = Run(submitted.record)
        epochs, batch = checked.loaded.spec.fit.epochs, checked.loaded.spec.fit.global_batch_size
        params = {"verbose": 0, "epochs": epochs, "steps": -(-train.rows // batch)}
        try:
            run.wait(progress=not self._quiet)
        except RunStopped:
            self._take_back(parcel, params)
            raise
        except KeyboardInterrupt:
            self._say(f"stopping {run.id} after its step; interrupt again to leave it alone")
            run.stop()
            with contextlib.suppress(NotFound):  # it had not begun
                self._take_back(parcel, params)
            raise
        history = self._take_back(parcel, params)
        for split in splits:
            _remove(parcel.arrays(split))
        return history

    def _take_back(self, parcel: Parcel, params: dict[str, Any]) -> keras.callbacks.History:
        from raytrain.model.live.take_back import take_back

        history, left = take_back(parcel, self._model, self._callbacks, params)
        if left:
            self._say(f"as they were before, for they cannot travel back: {', '.join(left)}")
        return history

    def _say(self, line: str) -> None:
        if self._quiet:
            return
        if in_notebook():
            print(line, flush=True)  # noqa: T201  what goes to stderr is shown as an error there
        else:
            say(line)


def _directory(storage: str, run: str, connection: Connection) -> str:
    """The run's directory, as this machine and the cluster see it."""
    here = connection.shares_this_machine
    resolved = storage_for(storage, Path.cwd(), shares_this_machine=here)
    if not is_object_store(resolved) and not here and not (Path(resolved).is_absolute() and Path(resolved).is_dir()):
        raise UsageError(
            Problem(
                field="storage",
                got=f"storage={storage!r} for the cluster at {connection.address.url}, another machine",
                expected="a storage that this machine and the cluster see: the model and its rows travel through it",
                fix="storage='s3://bucket/prefix', or a mount that both have under the same path",
            )
        )
    paths = RunPaths.of(resolved, run)
    return paths.uri or str(paths.root)


def _write(place: str, rows: Rows) -> None:
    """Arrays travel as files: to a storage that is seen as a directory they are written once, without a copy."""
    from raytrain.data.array_folder import write_arrays
    from raytrain.spec.peek.array_index import INDEX_FILE

    if not is_object_store(place):
        write_arrays(Path(place), rows.parts)
        return
    parent, _, name = place.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="raytrain-arrays-") as folder:
        write_arrays(Path(folder), rows.parts)
        ObjectStore(parent).push_folder(Path(folder), name, marker=INDEX_FILE)


def _remove(place: str) -> None:
    """What no one needs any more; a storage that keeps it does no harm."""
    with contextlib.suppress(OSError):
        if is_object_store(place):
            parent, _, name = place.rpartition("/")
            ObjectStore(parent).remove_folder(name, marker="index.json")
        else:
            shutil.rmtree(place)
