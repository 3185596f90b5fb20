"""The job that a call of `raytrain.fit` is made into: handed over, followed, and taken back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raytrain.client.display.show import in_notebook, say
from raytrain.client.read_job import CheckedJob, Overrides, read_job
from raytrain.client.run import Run
from raytrain.client.submit import Submitted, submit
from raytrain.client.where_stored import storage_for
from raytrain.cluster.connect import connect, locate
from raytrain.errors import NotFound, Problem, RaytrainError, RunStopped, UsageError
from raytrain.run.object_store import ObjectStore, is_object_store, split
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
        """Hands everything over, follows the run to its end, and puts what came of it back.

        Raises:
            RaytrainError: as `raytrain.fit`; what was written is gone again where the run did not come to be.
        """
        from raytrain.model.live.hand_over import packed
        from raytrain.model.live.parcel import Parcel, put, put_arrays

        splits = {"train": train} | ({"validation": validation} if validation is not None else {})
        kept = os.fspath(storage) if storage is not None else "~/raytrain"
        is_here = _runs_here(address)
        files = list(packed(self._model, self._callbacks, shares_this_machine=is_here))
        run = mint_run_id(self._fields["name"], now=datetime.now())
        parcel = Parcel(_directory(kept, run, shares_this_machine=is_here))
        with tempfile.TemporaryDirectory(prefix="raytrain-fit-") as folder, contextlib.ExitStack() as undo:
            undo.callback(_call_off, run, parcel, address)
            with _written(parcel):
                for name, content in files:
                    put(parcel.given, name, content)
                for part, rows in splits.items():
                    put_arrays(parcel.arrays(part), rows.parts)
            parcel.write_place(Path(folder))
            checked = read_job(None, folder=folder, fields=self._job(parcel, splits, kept), overrides=overrides)
            sent = submit(checked.loaded, run=run, address=address, overrides=checked.overrides, progress=self._say)
            undo.pop_all()
        return self._follow(sent, parcel, splits, train, checked)

    def _job(self, parcel: Parcel, splits: Mapping[str, Rows], storage: str) -> dict[str, Any]:
        names = splits["train"].parts
        data: dict[str, Any] = {part: {"arrays": parcel.arrays(part)} for part in splits}
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
        for part in splits:
            _remove(parcel.arrays(part))
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


def _runs_here(address: str | None) -> bool:
    """Whether the cluster is this machine's, so that it has the same packages and paths; none is started for it."""
    return locate(address).starts_local or connect(address, start_local=False).shares_this_machine


def _call_off(run: str, parcel: Parcel, address: str | None) -> None:
    """Leaves nothing behind where the call ends before the run is followed: it was refused, or interrupted."""
    with contextlib.suppress(RaytrainError):
        connect(address, start_local=False).api.stop(run)
    _remove(parcel.directory)


def _directory(storage: str, run: str, *, shares_this_machine: bool) -> str:
    """The run's directory, as this machine and the cluster see it."""
    resolved = storage_for(storage, Path.cwd(), shares_this_machine=shares_this_machine)
    is_seen = shares_this_machine or (Path(resolved).is_absolute() and Path(resolved).is_dir())
    if not is_object_store(resolved) and not is_seen:
        raise UsageError(
            Problem(
                field="storage",
                got=f"storage={storage!r} for a cluster on another machine",
                expected="a storage that this machine and the cluster see: the model and its rows travel through it",
                fix="storage='s3://bucket/prefix', or a mount that both have under the same path",
            )
        )
    paths = RunPaths.of(resolved, run)
    return paths.uri or str(paths.root)


@contextlib.contextmanager
def _written(parcel: Parcel) -> Iterator[None]:
    """Around what writes to the storage."""
    try:
        yield
    except OSError as error:
        got = f"{parcel.directory}: {error.strerror or error}"
        expected = "a storage that can be written here, by way of which the model and its rows travel"
        raise UsageError(Problem(field="storage", got=got, expected=expected)) from error


def _remove(place: str) -> None:
    """What no one needs any more; a storage that keeps it does no harm."""
    with contextlib.suppress(OSError):
        if is_object_store(place):
            parent, name = split(place)
            ObjectStore(parent).remove_folder(name, marker="index.json")
        else:
            shutil.rmtree(place)
