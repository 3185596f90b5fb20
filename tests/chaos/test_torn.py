"""Checkpoints whose writer is killed, and files that are cut: row 7."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np

from raytrain.run import events
from raytrain.run.run_status import Reason
from raytrain.worker.checkpoints import checkpoint
from tests.chaos.crew import Crew, Training, fork_server
from tests.chaos.table import FULL, found
from tests.chaos.test_workers import case, undisturbed

SNAPSHOT = checkpoint.Snapshot(
    epoch=1,
    step=3,
    variables=[np.full((50, 4), 1.5, np.float32), np.arange(7)],
    best_weights=[np.full((50, 4), 2.5, np.float32)],
    state={"progress": {"best_epoch": 0}, "stopped": None},
    ranks=[checkpoint.pack([np.arange(3)], {"clock": 1.0}), checkpoint.pack([np.arange(3)], {"clock": 2.0})],
)


def _before(root: Path) -> None:
    for epoch in range(2):
        checkpoint.write(root, _at(epoch), keep=3)


def _at(epoch: int) -> checkpoint.Snapshot:
    return checkpoint.Snapshot(
        epoch=epoch, variables=[np.full((50, 4), epoch, np.float32)], best_weights=None, state=SNAPSHOT.state
    )


def _write_and_die(root: Path, point: int) -> None:
    """Runs in a process of its own, which is killed at the n-th point of a write."""
    left = iter(range(point, -1, -1))

    def at(name: str) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.write(root, SNAPSHOT, keep=1, at=at)


def test_a_writer_killed_at_each_of_its_writes(crew: Crew, tmp_path: Path) -> None:
    _before(tmp_path / "whole")
    names: list[str] = []
    checkpoint.write(tmp_path / "whole", SNAPSHOT, keep=1, at=names.append)
    context = fork_server()
    bad = 0
    for point in range(len(names)):
        root = tmp_path / str(point)
        _before(root)
        writer = context.Process(target=_write_and_die, args=(root, point))
        writer.start()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL, names[point]
        skipped: list[str] = []
        read = checkpoint.read_newest(root, skipped=lambda path, why: skipped.append(why))  # noqa: B023  called at once
        is_new = point >= names.index("renamed")
        bad += read is None or bool(skipped) or not _is(read[1], SNAPSHOT if is_new else _at(1))
    found(7, f"{bad} bad loads of {len(names)} kills, one at each write of a checkpoint", held=bad == 0)


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    checkpoint.write(root, _at(0), keep=3)
    newest = checkpoint.write(root, SNAPSHOT, keep=3)
    bad = cut = 0
    for file in sorted(newest.iterdir()):
        whole = file.read_bytes()
        every = 1 if FULL else max(1, len(whole) // 40)
        for length in range(0, len(whole), every):
            file.write_bytes(whole[:length])
            read = checkpoint.read_newest(root, skipped=lambda path, why: None)
            bad += read is None or not _is(read[1], _at(0))
            cut += 1
        file.write_bytes(whole)
    read = checkpoint.read_newest(root, skipped=lambda path, why: None)
    assert read is not None and _is(read[1], SNAPSHOT)
    found(7, f"{bad} bad loads of {cut} cuts, over all files of a checkpoint", held=bad == 0)


def test_a_run_goes_on_before_a_checkpoint_that_was_cut(crew: Crew, tmp_path: Path) -> None:
    tried = case(checkpoint={"keep": 3})
    whole = undisturbed(crew, tried, tmp_path / "whole")
    cut = "rank=0,epoch=3,step=0,kind=truncate"
    first = crew.group(replace(tried, fault=cut), tmp_path / "run")
    assert first.reason == Reason.COMPLETED, first.errors
    shutil.rmtree(tmp_path / "run/checkpoints/epoch-000003")  # as if the run had been killed in its last epoch
    run = crew.train(tried, tmp_path / "run", groups=1)
    broken = run.last.of(events.CheckpointSkipped)
    same = Training(groups=[first, run.last]).equals(whole)
    passed = bool(broken) and run.last.restored is not None
    found(7, f"a run went on from {run.last.restored} past {len(broken)} cut one, end bit-equal", held=passed and same)


def _is(ours: checkpoint.Snapshot, theirs: checkpoint.Snapshot) -> bool:
    pairs = zip(ours.variables, theirs.variables, strict=False)
    return (ours.epoch, ours.step, ours.ranks, len(ours.variables)) == (
        theirs.epoch,
        theirs.step,
        theirs.ranks,
        len(theirs.variables),
    ) and all(mine.tobytes() == other.tobytes() for mine, other in pairs)
