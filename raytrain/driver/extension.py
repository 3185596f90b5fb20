"""Begins a run that extends another with that one's whole state: its last checkpoint, its history, its fall backs.

Runs in: the driver. The other run's directory is only read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from raytrain.driver.recorder import Recorder
from raytrain.errors import Problem, SpecError
from raytrain.run import events
from raytrain.run.event_log import read_events
from raytrain.run.object_store import ObjectStore
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest, StoredRun
from raytrain.worker.checkpoints import checkpoint
from raytrain.worker.checkpoints.object_storage import fetch_checkpoints, publish_checkpoint


def begin_extension(request: JobRequest, paths: RunPaths, recorder: Recorder) -> None:
    """Copies the state into the run's own directory and its history into the log, unless an attempt did so before.

    Raises:
        SpecError: the other run's directory is out of sight here, or has no whole checkpoint of an epoch's end.
    """
    origin = request.extended_from
    if origin is None or any(isinstance(event, events.Extended) for event in read_events(paths.events)):
        return
    before = RunPaths.to_write(origin.storage, origin.run)
    try:
        _fetch(before)
        found = checkpoint.read_newest(before.checkpoints, skipped=_skipped(recorder, before), usable=_is_epochs_end)
        history = read_events(before.events)
    except OSError as error:
        raise _refused(origin, f"which cannot be read here: {error}") from error
    finally:
        if before.uri is not None:
            shutil.rmtree(before.root.parent, ignore_errors=True)
    if found is None:
        raise _refused(origin, "without a checkpoint of an epoch's end that can be read here")
    path, snapshot = found
    # A time limit counts what this run trains, and what ended the other one does not end this.
    state = {**snapshot.state, "stopped": None, "elapsed_s": 0.0}
    kept = checkpoint.write(paths.checkpoints, replace(snapshot, state=state), keep=request.spec.checkpoint.keep)
    publish_checkpoint(paths, kept)
    for event in _of_last_life(history, snapshot.epoch):
        recorder.record(event)
    recorder.record(events.Extended(extends=origin.run, epoch=snapshot.epoch, path=before.shown(path)))


def _of_last_life(history: Sequence[events.Event], last: int) -> list[events.Event]:
    """The epochs up to the checkpoint, each as it was trained last, and the fall backs, in the order of their time."""
    epochs = {event.epoch: event for event in history if isinstance(event, events.EpochEnd) and event.epoch <= last}
    others = [event for event in history if isinstance(event, events.FellBack)]
    return sorted([*epochs.values(), *others], key=lambda event: event.time)


def _fetch(before: RunPaths) -> None:
    if before.uri is not None:
        ObjectStore(before.uri).pull(before.events.name, before.events)
        fetch_checkpoints(before)


def _is_epochs_end(snapshot: checkpoint.Snapshot) -> bool:
    return snapshot.step == 0


def _skipped(recorder: Recorder, before: RunPaths) -> Callable[[Path, str], None]:
    def skipped(path: Path, why: str) -> None:
        recorder.record(events.CheckpointSkipped(path=before.shown(path), why=why))

    return skipped


def _refused(origin: StoredRun, why: str) -> SpecError:
    return SpecError(
        Problem(
            got=f"run {origin.run} in {origin.storage}, {why}",
            expected="the run that is extended, in storage that the cluster sees",
            fix="init_from in a new job begins with its model alone",
        )
    )
