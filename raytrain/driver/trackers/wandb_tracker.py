"""Tells Weights & Biases of a run, or keeps what to tell it in the run's directory (`mode: offline`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raytrain.driver.trackers.tracker import TrackedRun, epoch_values, parameters
from raytrain.run.events import EpochEnd, Event, RunFinished, TestEnd
from raytrain.spec.tracking import WandbSpec

_INIT_WITHIN_S = 30


class WandbTracker:
    """One run of its own, under the run's id, that a later attempt goes on with."""

    def __init__(self, run: TrackedRun, options: WandbSpec) -> None:
        import wandb

        settings = wandb.Settings(
            init_timeout=_INIT_WITHIN_S, console="off", silent=True, disable_git=True, x_disable_stats=True
        )
        self._run: Any = wandb.init(
            project=options.project or run.spec.name,
            entity=options.entity,
            id=run.run,
            name=run.run,
            resume="allow",
            mode=options.mode,
            dir=str(run.paths.root),  # where it makes the folder `wandb`
            config=parameters(run.spec),
            settings=settings,
        )
        self._status = 0

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case EpochEnd():
                    self._run.log(epoch_values(event), step=event.epoch)
                case TestEnd():
                    self._run.summary.update({f"test_{name}": value for name, value in event.metrics.items()})
                case RunFinished():
                    self._run.summary.update({"status": event.status, "reason": event.reason})
                    self._status = 0 if event.status == "SUCCEEDED" else 1

    def close(self) -> None:
        self._run.finish(exit_code=self._status)
