"""Writes a run for TensorBoard, into the run's directory, without TensorFlow.

As Keras' own callback does: `epoch_loss` in `train` and in `validation`, so that both stand in one chart. Where epochs
are trained again, what was written of them is purged: TensorBoard leaves out steps that a later file begins anew.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import yaml

from raytrain.driver.trackers.tracker import TrackedRun, epoch_values, parameters
from raytrain.run.event_values import Best
from raytrain.run.events import EpochEnd, Event, RunFinished, TestEnd

_VALIDATION = "val_"
_SPLITS = ("train", "validation")


class TensorBoardTracker:
    """State: `next`, the epoch that follows those that are written, and how many `files` were begun for them."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._folder = run.paths.tensorboard
        self._best: Best | None = None
        self._writers: dict[str, Any] = {}

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case EpochEnd():
                    self._write_epoch(event)
                case TestEnd():
                    self._write_test(event)
                case RunFinished():
                    self._write_hparams()
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write_epoch(self, event: EpochEnd) -> None:
        if event.epoch != self._run.state.get("next") or not self._writers:
            self._begin(event.epoch)
        for name, value in epoch_values(event).items():
            split = "validation" if name.startswith(_VALIDATION) else "train"
            tag = f"epoch_{name.removeprefix(_VALIDATION)}" if name in event.metrics else name
            self._writers[split].add_scalar(tag, value, event.epoch, walltime=event.time)
        self._best = event.best
        self._run.state["next"] = event.epoch + 1

    def _begin(self, epoch: int) -> None:
        """Opens new files, from this epoch on; those that another process wrote may hold it, and more."""
        from tensorboardX import SummaryWriter

        self.close()
        files = self._run.state.get("files", 0)
        self._run.state["files"] = files + 1
        # Files are told apart, and read in the order of their names, by the second in which they were begun alone.
        options = {"filename_suffix": f".{files:06d}", "purge_step": epoch if self._folder.exists() else None}
        self._writers = {split: SummaryWriter(str(self._folder / split), **options) for split in _SPLITS}
        if not files:
            spec = yaml.safe_dump(self._run.spec.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
            self._writers["train"].add_text("spec", f"```yaml\n{spec}\n```", 0)

    def _write_test(self, event: TestEnd) -> None:
        from tensorboardX import SummaryWriter

        with contextlib.closing(SummaryWriter(str(self._folder / "test"), purge_step=0)) as writer:
            for name, value in event.metrics.items():
                writer.add_scalar(f"test_{name}", math.nan if value is None else value, 0, walltime=event.time)

    def _write_hparams(self) -> None:
        """The spec beside the best value, for the table that compares runs."""
        from tensorboardX import SummaryWriter

        best = self._best
        metrics = {f"best_{best.monitor}": best.value} if best and best.value is not None else {}
        with contextlib.closing(SummaryWriter(str(self._folder))) as writer:
            writer.add_hparams(parameters(self._run.spec), metrics, name="hparams")
