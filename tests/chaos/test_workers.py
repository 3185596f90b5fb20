"""Worker processes that are killed, storage that fails, losses that are no numbers: rows 1, 2, 7, 8, 9, 12 and 16.

The groups are real processes with real collectives (see `crew`); the same rows are held on a Ray cluster beside it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raytrain.run import Reason
from raytrain.worker import checkpoint, messages, setup
from tests.chaos.crew import Crew, Training
from tests.chaos.table import FULL, found, points
from tests.worker.pool import Case
from tests.worker.test_one_answer import rows

WORKERS, EPOCHS, STEPS = 2, 4, 4
EVERY_STEPS = 2
STEP_S = 0.05

# Steps of a known length, so that a checkpoint is on the disk before the next step ends, as in real trainings.
MODEL = f"""
import time
import keras
def build_model():
    model = keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy", "AUC"])
    return model
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep({STEP_S})
"""
PLAIN = MODEL + "def callbacks():\n    return [Slow()]\n"
DECIDING = (
    MODEL.replace("Adam(0.01)", "Adam(0.3)")
    + """
def callbacks():
    return [
        Slow(),
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=0, factor=0.5, min_delta=0.01),
        keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=0.001, restore_best_weights=True),
    ]
"""
)


def case(*, model: str = PLAIN, epochs: int = EPOCHS, **spec: Any) -> Case:
    fit = {"epochs": epochs, "global_batch_size": 16}
    splits = {"train": rows(16 * STEPS), "validation": rows(19, 2), "test": rows(23, 3)}
    return Case(model_py=model, spec={"fit": fit, "callbacks": "model.py:callbacks", **spec}, splits=splits)


def undisturbed(crew: Crew, case: Case, root: Path) -> Training:
    whole = crew.train(case, root, groups=1)
    assert whole.last.reason, whole.last.lost
    return whole


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("every_steps", [None, EVERY_STEPS])
def test_a_worker_killed_at_any_step(every_steps: int | None, crew: Crew, tmp_path: Path) -> None:
    tried = case(checkpoint={"keep": 2, "every_steps": every_steps})
    whole = undisturbed(crew, tried, tmp_path / "whole")
    everywhere = [
        (rank, epoch, step) for rank in range(WORKERS) for epoch in range(EPOCHS) for step in range(STEPS + 1)
    ]
    few = [(1, 1, 0), (0, 2, 1)] if every_steps is None else [(0, 1, 3), (1, 3, 4)]
    same, repeated = 0, []
    killed = points(few, everywhere)
    for rank, epoch, step in killed:
        root = tmp_path / f"{rank}-{epoch}-{step}"
        run = crew.train(tried, root, faults=[f"rank={rank},epoch={epoch},step={step},kind=kill"])
        assert [group.lost for group in run.groups] == [[rank], []], run.groups
        done, within = run.last.restored or (0, 0)
        repeated.append((epoch * STEPS + step) - (done * STEPS + within))
        same += run.equals(whole)
        shutil.rmtree(root)
    how = "" if every_steps is None else f", every_steps: {every_steps}"
    found(1, f"{same}/{len(killed)} kills bit-equal{how}", held=same == len(killed))
    most = every_steps or STEPS
    found(
        2,
        f"at most {max(repeated)} steps again after {len(killed)} kills{how or f', {STEPS} steps an epoch'}"
        f" (steps of {STEP_S * 1000:.0f} ms)",
        held=max(repeated) <= most,
        binds="a checkpoint is written beside the training, and was not on the disk yet",
    )


@pytest.mark.timeout(900)
def test_callbacks_that_decide_go_on_where_they_were(crew: Crew, tmp_path: Path) -> None:
    tried = case(model=DECIDING, epochs=12)
    whole = undisturbed(crew, tried, tmp_path / "whole")
    epochs = len(whole.history)
    rates = [row["learning_rate"] for row in whole.history.values()]
    assert whole.last.reason == Reason.STOPPED_BY_CALLBACK
    assert 3 <= epochs < 12 and len(set(rates)) > 1, "the case is to stop early and to lower its rate"
    at_each = [f"rank={epoch % WORKERS},epoch={epoch},step=1,kind=kill" for epoch in range(epochs)]
    run = crew.train(tried, tmp_path / "run", faults=at_each)
    assert len(run.groups) == epochs + 1
    last = len(run.history) == epochs
    same = [row["learning_rate"] for row in run.history.values()] == rates
    found(
        8,
        f"one run interrupted in each of its {epochs} epochs: last epoch {'the same' if last else 'another'},"
        f" learning rates {'the same' if same else 'others'}, end {'bit-equal' if run.equals(whole) else 'another'}",
        held=last and same and run.equals(whole),
    )


@pytest.mark.timeout(900)
def test_a_loss_that_is_no_number_can_be_gone_on_from(crew: Crew, tmp_path: Path) -> None:
    tried = case()
    whole = undisturbed(crew, tried, tmp_path / "whole")
    diverged = same = 0
    epochs = points([1], list(range(EPOCHS)))
    for epoch in epochs:
        root = tmp_path / str(epoch)
        spoilt = crew.train(tried, root, faults=[f"rank=1,epoch={epoch},step=2,kind=nan"], groups=1)
        diverged += spoilt.groups[0].reason == Reason.DIVERGED
        kept = [checkpoint.read(path) for path in (root / "checkpoints").glob("epoch-*")]
        assert all(np.isfinite(array).all() for snapshot in kept for array in snapshot.variables)
        resumed = crew.train(tried, root, groups=1)
        same += Training(groups=[*spoilt.groups, resumed.last]).equals(whole)
    every = len(epochs)
    found(
        9, f"{diverged}/{every} diverged, {same}/{every} resumed to the bit-equal end", held=diverged == same == every
    )


def test_weights_that_are_no_numbers_behind_a_loss_that_is_one(crew: Crew, tmp_path: Path) -> None:
    """A relu makes 0 of NaN: the loss stays finite over weights that are lost for good."""
    tried = case(model=PLAIN.replace("tanh", "relu"))
    features, labels = tried.splits["train"]
    spoilt = features.copy()
    spoilt[5, 0] = np.nan
    tried = replace(tried, splits=tried.splits | {"train": (spoilt, labels)})
    run = crew.train(tried, tmp_path / "run", groups=1)
    finite = all(np.isfinite(weight).all() for weight in run.last.weights)
    found(
        9,
        f"a NaN among the rows, behind a relu: ended as {run.last.reason},"
        f" its model's weights {'are finite or not saved' if finite else 'are NaN'}",
        held=run.last.reason == Reason.DIVERGED,
        binds="only the loss is looked at",
    )


# --- row 7: torn checkpoints

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
    context = multiprocessing.get_context("forkserver")
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
    broken = run.last.of(messages.CheckpointBroken)
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


# --- row 12: ports


@contextlib.contextmanager
def port_thief() -> Iterator[None]:
    """Others who take whatever port is free, and give it back, thousands a second."""
    ended = threading.Event()

    def take() -> None:
        held: list[socket.socket] = []
        while not ended.is_set():
            taken = socket.socket()
            taken.bind(("127.0.0.1", 0))
            held.append(taken)
            if len(held) > 400:
                held.pop(random.randrange(len(held))).close()
            time.sleep(0.0002)
        for taken in held:
            taken.close()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _join(rank: int, connection: Connection) -> None:
    """Runs in a worker's process: what `KerasBackend` has it do, up to the first collective."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    connection.send(setup.hold_port("127.0.0.1"))
    setup.configure(connection.recv(), rank)
    setup.finish_import()
    from raytrain.worker.strategy import join, sum_over_workers

    strategy = join(gpus_per_worker=0)
    setup.release_port()
    connection.send(list(sum_over_workers(strategy, [1.0])))


def starts(workers: int) -> bool:
    """Whether that many workers find each other."""
    context = multiprocessing.get_context("forkserver")
    pipes = [context.Pipe() for _ in range(workers)]
    processes = [context.Process(target=_join, args=(rank, theirs)) for rank, (_, theirs) in enumerate(pipes)]
    try:
        for process in processes:
            process.start()
        addresses = [ours.recv() for ours, _ in pipes if ours.poll(60)]
        for ours, _ in pipes:
            ours.send(addresses)
        return [ours.recv() if ours.poll(60) else None for ours, _ in pipes] == [[float(workers)]] * workers
    except (EOFError, OSError):
        return False
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.timeout(1200)
def test_ports_that_others_reach_for(crew: Crew) -> None:
    count = 200 if FULL else 5
    with port_thief():
        failed = sum(not starts(crew.workers) for _ in range(count))
    found(
        12,
        f"{failed} of {count} starts of {crew.workers} workers failed while others took every free port",
        held=not failed,
    )


# --- row 16: storage that fails


class Disk:
    """Storage that can be put out of order and back: a small file system of its own, where this user may mount one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
        self._mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    @property
    def faults(self) -> list[str]:
        return ["ENOSPC", "EROFS"] if self._mounted else ["EACCES"]

    def fail(self, fault: str) -> None:
        match fault:
            case "ENOSPC":
                with contextlib.suppress(OSError), (self.path / "ballast").open("wb", buffering=0) as ballast:
                    for size in (4096, 1):
                        with contextlib.suppress(OSError):
                            while ballast.write(b"\0" * size):
                                pass
            case "EROFS":
                self._remount("ro")
            case "EACCES":
                (self.path / "run/checkpoints").chmod(0o500)

    def mend(self, fault: str) -> None:
        match fault:
            case "ENOSPC":
                (self.path / "ballast").unlink()
            case "EROFS":
                self._remount("rw")
            case "EACCES":
                (self.path / "run/checkpoints").chmod(0o700)

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.path)], check=True)

    def _remount(self, how: str) -> None:
        while subprocess.run(
            ["mount", "-o", f"remount,{how}", str(self.path)], capture_output=True, check=False
        ).returncode:
            time.sleep(0.01)  # a file is being written


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.close()


@pytest.mark.timeout(900)
def test_storage_that_fails_while_checkpoints_are_saved(crew: Crew, disk: Disk, tmp_path: Path) -> None:
    out_s = 60.0 if FULL else 3.0
    for fault in disk.faults:
        epochs = int(out_s / (STEPS * STEP_S) * 1.2) + 8
        tried = case(epochs=epochs)
        whole = undisturbed(crew, tried, tmp_path / f"whole-{fault}")
        root = disk.path / "run"
        lost: list[str] = []
        ended = threading.Event()

        def spoil(
            fault: str = fault, root: Path = root, lost: list[str] = lost, ended: threading.Event = ended
        ) -> None:
            newest = _newest(root)
            while newest is None or newest < 2:
                time.sleep(0.02)
                newest = _newest(root)
            disk.fail(fault)
            until = time.monotonic() + out_s
            while time.monotonic() < until and not ended.is_set():
                now = _newest(root)
                if now is None or now < newest:
                    lost.append(f"epoch {newest}, {now} is left")
                newest = now if now is not None else newest
                time.sleep(0.05)
            disk.mend(fault)

        spoiler = threading.Thread(target=spoil)
        spoiler.start()
        run = crew.train(tried, root, groups=1)
        ended.set()
        spoiler.join()
        failures = run.last.of(messages.CheckpointFailed)
        end = _newest(root)
        same = run.equals(whole)
        shutil.rmtree(root)
        found(
            16,
            f"{fault} for {out_s:.0f} s: {len(lost)} checkpoints lost, failed saves told of {len(failures)} times,"
            f" last epoch's {'saved' if end == epochs - 1 else 'not saved'}, end {'bit-equal' if same else 'another'}",
            held=not lost and bool(failures) and end == epochs - 1 and same,
        )


def _newest(root: Path) -> int | None:
    """The epoch of the newest whole checkpoint; a writer may remove one while it is read."""
    for _ in range(5):
        skipped: list[Path] = []
        read = checkpoint.read_newest(root / "checkpoints", skipped=lambda path, why: skipped.append(path))  # noqa: B023
        if not any(path.exists() for path in skipped):
            return None if read is None else read[1].epoch
    return None
