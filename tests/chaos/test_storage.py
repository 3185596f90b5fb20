"""Storage that is full or read-only while checkpoints are saved: row 16."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raytrain.run import events
from raytrain.worker.checkpoints import checkpoint
from tests.chaos.crew import Crew
from tests.chaos.table import FULL, found, points
from tests.chaos.test_workers import STEP_S, STEPS, case, undisturbed


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
    out_s = 60.0 if FULL else 2.0
    epochs = int(out_s / (STEPS * STEP_S)) + 8
    tried = case(epochs=epochs)
    whole = undisturbed(crew, tried, tmp_path / "whole")
    for fault in points(disk.faults[:1], disk.faults):
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
        failures = run.last.of(events.CheckpointFailed)
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
