"""Runs whose pages are worth a look: a long one on many ranks, one with troubles, and one with hostile names."""

from __future__ import annotations

import math
from typing import Any

from raytrain.errors import Failure
from raytrain.report.history import History
from raytrain.report.job_files import JobFiles
from raytrain.report.run_page import run_page
from raytrain.run import events
from raytrain.run.events import Event
from raytrain.run.summary import RunSummary
from tests.cli import lives

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>"\'\x1b[2J\u202e{{ 7*7 }}'


def page_of(listed: list[Event], files: JobFiles | None = None, *, run: str = lives.RUN) -> str:
    """The page that a run of these events has."""
    summary, history = RunSummary(run=run), History()
    for event in listed:
        summary.add(event)
        history.add(event, summary)
    return run_page(summary, history, files or JobFiles(), now=lives.SUBMITTED_AT + 3600)


def long_life(epochs: int = 1000, workers: int = 64) -> list[Event]:
    """A noisy run with a gap, many metrics and an event beside each epoch."""
    listed: list[Event] = [*lives.beginning(workers=workers, epochs=epochs)]
    places = [events.RankPlace(node=f"10.0.{rank // 8}.{rank % 8}", pid=rank) for rank in range(workers)]
    listed.append(events.Placed(run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT + 3, ranks=places))
    shards = events.SplitShards(rows=64000, steps=100, rows_per_worker=[64000 // workers] * workers)
    listed.append(events.Sharded(run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT + 3, splits={"train": shards}))
    for number in range(epochs):
        loss = 2.3 * 0.995**number + 0.05 * math.sin(number * 1.7)
        values = {f"{split}{name}": loss + at / 10 for split in ("", "val_") for at, name in enumerate(_METRICS)}
        listed.append(
            events.EpochEnd.measured(
                run=lives.RUN,
                attempt=1,
                time=lives.SUBMITTED_AT + 20 + 3 * number,
                epoch=number,
                metrics=values if number != 500 else values | {"val_loss": math.nan},
                rank_seconds=[3.0 + 0.1 * math.sin(rank + number) for rank in range(workers)],
                rank_rows=[64000 // workers] * workers,
                rank_wait_s=[0.2 + 0.1 * math.cos(rank) for rank in range(workers)],
                learning_rate=0.01 * 0.99**number,
                best=events.Best(epoch=max(0, number - 3), monitor="val_loss", value=loss),
            )
        )
        path = f"checkpoints/epoch-{number:06}"
        listed.append(
            events.CheckpointSaved(
                run=lives.RUN,
                attempt=1,
                time=lives.SUBMITTED_AT + 21 + 3 * number,
                epoch=number,
                path=path,
                seconds=0.5,
            )
        )
        if number % 2:
            listed.append(
                events.Warned(
                    run=lives.RUN, attempt=1, time=lives.SUBMITTED_AT + 21 + 3 * number, message=f"no. {number}"
                )
            )
    return [*listed, *lives.ending()]


_METRICS = ("loss", "accuracy", "precision", "recall", "auc", "top_5")


def troubled_life() -> list[Event]:
    """Waits for room, loses a worker twice, falls back, and fails in the user's code in its second attempt."""
    head: dict[str, Any] = {"run": lives.RUN, "attempt": 1}
    at = lives.SUBMITTED_AT
    lost = Failure(kind="WorkerLost", message="the node of rank 1 is gone")
    error = Failure(kind="ValueError", message="no such class: 11", rank=1, file="model.py", line=7, traceback="…\n7")
    again = lives.beginning()[0]
    return [
        *lives.beginning(epochs=9),
        events.Queued(**head, time=at + 10, needs="2 GPU: 1 is free"),
        events.Placed(**head, time=at + 70, ranks=[events.RankPlace(node=f"10.0.0.{rank}", pid=1) for rank in (1, 2)]),
        *(lives.epoch(number, val_loss=0.4 + 0.1 * number) for number in range(4)),
        *(
            event
            for number in range(2)
            for event in (
                events.WorkerLost(**head, time=at + 80 + number, message="10.0.0.2 is gone", ranks=[1]),
                events.GroupFailed(**head, time=at + 81 + number, error=lost, retrying=True),
                events.GroupStarted(**head, time=at + 82 + number, workers=2, restart=number + 1),
                events.Restored(**head, time=at + 83 + number, epoch=3, path="checkpoints/epoch-3"),
            )
        ),
        events.AnswerDiffers(**head, time=at + 90, largest=0.02, workers=2, what=["gradient of dense/kernel"]),
        events.Submitted(**(vars(again) | {"attempt": 2, "submitted_at": at + 100, "time": at + 101})),
        events.Hung(
            **head, time=at + 102, rank=1, phase="train", epoch=4, step=3, limit_s=60, stacks="logs/stacks-0.txt"
        ),
        events.RunFinished(run=lives.RUN, attempt=2, time=at + 200, status="FAILED", reason="user_code", error=error),
    ]


def hostile_life() -> list[Event]:
    """Whatever a user, a file or a cluster may name says something that no page may take for its own."""
    head: dict[str, Any] = {"run": lives.RUN, "attempt": 1, "time": lives.SUBMITTED_AT + 5}
    submitted = vars(lives.beginning()[0]) | {
        "name": HOSTILE,
        "storage": HOSTILE,
        "dashboard_url": "javascript:alert(1)",
    }
    error = Failure(kind=HOSTILE, message=HOSTILE, file=HOSTILE, line=1, traceback=HOSTILE)
    return [
        events.Submitted(**submitted),
        *lives.beginning()[1:],
        events.Placed(**head, ranks=[events.RankPlace(node=HOSTILE, pid=1)]),
        *(lives.epoch(number, **{HOSTILE: 0.5, f"val_{HOSTILE}": 0.6}) for number in range(3)),
        events.Warned(**head, message=HOSTILE),
        events.WorkerLost(**head, message=HOSTILE, ranks=[0]),
        events.RunFinished(**head, status="FAILED", reason=HOSTILE, error=error),
    ]
