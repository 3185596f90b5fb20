"""A run's life as events, for tests that show or follow one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.event_log import EventWriter
from raytrain.run.run_paths import RunPaths

RUN = "digits-20261120-0715-4f2a"
SUBMITTED_AT = 1_790_000_000.0


def beginning(workers: int = 2, epochs: int = 3, storage: str = "/runs/" + RUN) -> list[events.Event]:
    """Everything before the first epoch."""
    head: dict[str, Any] = {"run": RUN, "attempt": 1}
    phases = ("driver", "data", "workers", "tensorflow", "model", "first_step")
    splits = {
        "train": events.SplitShards(rows=1437, steps=45, rows_per_worker=[719, 718]),
        "validation": events.SplitShards(rows=180, steps=6, rows_per_worker=[90, 90]),
    }
    return [
        events.Submitted(
            **head,
            time=SUBMITTED_AT + 1,
            name="digits",
            workers=workers,
            global_batch_size=32,
            epochs=epochs,
            storage=storage,
            submitted_at=SUBMITTED_AT,
            dashboard_url=f"http://127.0.0.1:8265/#/jobs/{RUN}",
        ),
        events.GroupStarted(**head, time=SUBMITTED_AT + 2, workers=workers),
        events.Sharded(**head, time=SUBMITTED_AT + 3, splits=splits),
        *(
            events.Phase(**head, time=SUBMITTED_AT + 3 + number, name=name, since_submit_s=3.0 + number)
            for number, name in enumerate(phases)
        ),
    ]


def epoch(number: int, **metrics: float | None) -> events.EpochEnd:
    """The end of epoch `number`, counted from 0; its loss falls from epoch to epoch."""
    loss = 0.5 / (number + 1)
    values = {"loss": loss, "accuracy": 0.9, "val_loss": loss + 0.1, "val_accuracy": 0.88} | metrics
    return events.EpochEnd(
        run=RUN,
        attempt=1,
        time=SUBMITTED_AT + 10 + number,
        epoch=number,
        metrics=values,
        seconds=0.41,
        rows_per_s=3500.0,
        rank_seconds=[0.41, 0.40],
        rank_rows_per_s=[1753.0, 1750.0],
        learning_rate=0.001,
        best=events.Best(epoch=number, monitor="val_loss", value=loss + 0.1),
        patience_left=3,
    )


def ending(status: str = "SUCCEEDED", reason: str = "completed", error: Failure | None = None) -> list[events.Event]:
    """What follows the last epoch."""
    head: dict[str, Any] = {"run": RUN, "attempt": 1}
    time = SUBMITTED_AT + 20
    finished = events.RunFinished(**head, time=time, status=status, reason=reason, error=error)
    if status != "SUCCEEDED":
        return [finished]
    return [
        events.TestEnd(**head, time=time, metrics={"loss": 0.21, "accuracy": 0.955}),
        events.ModelSaved(**head, time=time, path=f"/runs/{RUN}/model.keras"),
        finished,
    ]


def whole_life(epochs: int = 3) -> list[events.Event]:
    return [*beginning(epochs=epochs), *(epoch(number) for number in range(epochs)), *ending()]


def write_log(directory: Path, events: list[events.Event]) -> None:
    """Appends to the event log of the run in `directory`, as the driver does."""
    writer = EventWriter(RunPaths(directory).events)
    for event in events:
        writer.append(event)
    writer.close()
