"""A run's directory as its driver leaves it, for trackers to be told of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from raytrain.driver.trackers.tracker import TrackedRun
from raytrain.run import events
from raytrain.run.event_log import EventWriter
from raytrain.run.run_paths import RunPaths
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest

TEST = events.TestEnd(metrics={"loss": 0.5})
FINISHED = events.RunFinished(status="SUCCEEDED", reason="completed")
SUBMITTED = events.Submitted(name="tiny", workers=1, global_batch_size=8, epochs=3, storage="/s", submitted_at=0.0)


def epoch(number: int, loss: float | None = None) -> events.EpochEnd:
    loss = 1 / (number + 1) if loss is None else loss
    return events.EpochEnd.measured(
        epoch=number,
        metrics={"loss": loss, "val_loss": 2 * loss},
        rank_seconds=[2.0],
        rank_rows=[16],
        learning_rate=0.1,
        best=events.Best(epoch=number, monitor="val_loss", value=2 * loss),
    )


class Directory:
    """A run of one attempt, whose log grows by what is `add`ed."""

    def __init__(self, root: Path, tracking: Iterable[Any] = ("tensorboard",)) -> None:
        self.paths = RunPaths(root / "tiny-1")
        self.paths.root.mkdir(parents=True)
        job = {
            "name": "tiny",
            "model": {"layers": [{"Dense": {"units": 1}}]},
            "compile": {"loss": "mse"},
            "data": {"train": {"inline": {"x": [0.0]}}, "features": "x"},
            "tracking": list(tracking),
        }
        self.spec = JobSpec.model_validate(job)
        self.request = JobRequest(run="tiny-1", attempt=1, submitted_at=0.0, spec=self.spec, storage=str(root))
        self.paths.request.write_text(self.request.model_dump_json())
        self.paths.spec.write_text(self.spec.model_dump_json())
        self._time = 1e9

    def add(self, *added: events.Event) -> list[events.Event]:
        """The events as they stand in the log now."""
        stamped = []
        with contextlib.closing(EventWriter(self.paths.events)) as writer:
            for event in added:
                self._time += 1
                stamped.append(replace(event, run="tiny-1", attempt=1, time=self._time))
                writer.append(stamped[-1])
        return stamped

    def tracked(self) -> TrackedRun:
        return TrackedRun(run="tiny-1", spec=self.spec, paths=self.paths)
