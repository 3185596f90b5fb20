"""A run that extends another begins with that one's last whole checkpoint and history, of an earlier version too."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from raytrain.driver.extension import begin_extension
from raytrain.driver.recorder import Recorder
from raytrain.errors import SpecError
from raytrain.run import events
from raytrain.run.event_log import EventWriter, read_events
from raytrain.run.run_paths import RunPaths
from raytrain.spec.request import JobRequest, StoredRun
from raytrain.worker.checkpoints import checkpoint
from tests.driver.recorded import Recorded

EARLIER = Path(__file__).parents[1] / "earlier/v0.1.0/runs"
RUN = "digits-20261130-0242-a2a0"
NEW = "digits-20261201-0900-bbbb"


@pytest.fixture
def before(tmp_path: Path) -> RunPaths:
    """A run of version 0.1, of two epochs, that a time limit ended."""
    return RunPaths(Path(shutil.copytree(EARLIER / RUN, tmp_path / "before" / RUN)))


def request(before: RunPaths) -> JobRequest:
    body: dict[str, Any] = json.loads(before.request.read_text())
    origin = StoredRun(run=before.run, storage=str(before.root.parent))
    return JobRequest.model_validate(body | {"run": NEW, "attempt": 1, "extended_from": origin.model_dump()})


def begin(before: RunPaths, tmp_path: Path) -> tuple[RunPaths, Recorded]:
    paths, recorded = RunPaths.of(tmp_path / "runs", NEW), Recorded()
    begin_extension(request(before), paths, cast(Recorder, recorded))
    return paths, recorded


def test_the_state_and_the_history_are_taken_over(before: RunPaths, tmp_path: Path) -> None:
    old = checkpoint.read(before.checkpoints / "epoch-000001")
    log = before.events.read_bytes()

    paths, recorded = begin(before, tmp_path)

    new = checkpoint.read(paths.checkpoints / "epoch-000001")
    for ours, theirs in zip(new.variables, old.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert new.state == old.state | {"stopped": None, "elapsed_s": 0.0}
    trained = {event.epoch: event for event in read_events(before.events) if isinstance(event, events.EpochEnd)}
    assert recorded.of(events.EpochEnd) == [trained[0], trained[1]]
    [told] = recorded.of(events.Extended)
    assert (told.extends, told.epoch) == (RUN, 1) and told is recorded.events[-1]
    assert before.events.read_bytes() == log


def test_a_damaged_checkpoint_is_passed_over_and_its_epoch_is_no_history(before: RunPaths, tmp_path: Path) -> None:
    (before.checkpoints / "epoch-000001/variables.npz").write_bytes(b"torn")

    paths, recorded = begin(before, tmp_path)

    assert [path.name for path in paths.checkpoints.iterdir()] == ["epoch-000000"]
    assert [event.epoch for event in recorded.of(events.EpochEnd)] == [0]
    assert len(recorded.of(events.CheckpointSkipped)) == 1


def test_a_later_attempt_does_not_begin_anew(before: RunPaths, tmp_path: Path) -> None:
    paths = RunPaths.of(tmp_path / "runs", NEW)
    with contextlib.closing(EventWriter(paths.events)) as log:
        log.append(events.Extended(run=NEW, attempt=1, time=1.0, extends=RUN, epoch=1, path=""))

    _, recorded = begin(before, tmp_path)

    assert recorded.events == [] and not paths.checkpoints.exists()


def test_a_run_out_of_sight_or_without_a_checkpoint(before: RunPaths, tmp_path: Path) -> None:
    shutil.rmtree(before.checkpoints)
    with pytest.raises(SpecError, match=r"without a checkpoint of an epoch's end.*in storage that the cluster sees"):
        begin(before, tmp_path)
