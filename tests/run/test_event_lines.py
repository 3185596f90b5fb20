from dataclasses import replace
from typing import Any

import pytest

from raytrain.errors import Failure
from raytrain.run import events
from raytrain.run.event_lines import event_line, success_line
from raytrain.run.summary import RunSummary

AT: dict[str, Any] = {"run": "a-1", "attempt": 1, "time": 100.0}
EPOCH = events.EpochEnd(
    **AT,
    epoch=2,
    metrics={"loss": 0.1234, "val_loss": 0.2345},
    seconds=0.41,
    rows_per_s=3500.2,
    rank_seconds=[0.41],
    rank_rows_per_s=[3500.2],
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (EPOCH, "epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s"),
        (replace(EPOCH, rank_wait_s=[0.08, 0.05]), "epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s"),
        (
            replace(EPOCH, rank_wait_s=[0.0, 0.2]),
            "epoch 3/10 loss=0.1234 val_loss=0.2345 0.41s 3500 rows/s (waited 0.20s for data)",
        ),
        (events.GroupStarted(**AT, workers=2), ""),
        (events.GroupStarted(**AT, workers=1, restart=2), "attempt 1, restart 2: starting 1 worker"),
        (events.Restored(**AT, epoch=1, path="p"), "restored the checkpoint of epoch 2"),
        (events.Restored(**AT, epoch=1, path="p", step=7), "restored the checkpoint of epoch 3, step 7"),
        (events.Restored(**AT, epoch=-1, path="p", step=7), "restored the checkpoint of epoch 1, step 7"),
        (events.CheckpointFailed(**AT, epoch=1, why="disk full"), "a checkpoint could not be saved: disk full"),
        (
            events.CheckpointFailed(**AT, epoch=1, why="disk full", given_up=True),
            "a checkpoint could not be saved: disk full, given up",
        ),
        (events.Queued(**AT, needs="4 CPU"), "waiting for 4 CPU"),
        (events.Placed(**AT, ranks=[events.RankPlace(node="10.0.0.1", pid=7)]), ""),
        (events.Resized(**AT, workers=3, before=4), "going on with 3 workers instead of 4"),
        (
            events.FellBack(**AT, epoch=1, learning_rate_factor=0.25),
            "epoch 2 diverged: back to the last finite checkpoint, learning rate times 0.25",
        ),
        (
            events.Hung(**AT, rank=1, phase="train", epoch=2, step=7, limit_s=60.0, stacks="s.txt"),
            "no worker advanced for 60.0s, rank 1 least, in epoch 3, step 7 (train);"
            " the stacks of all ranks are in s.txt",
        ),
        (events.CheckpointSkipped(**AT, path="p", why="torn"), "checkpoint p left aside: torn"),
        (
            events.TrainingEnded(**AT, epoch=1, reason="early_stopped", message="no gain"),
            "stopping after epoch 2: no gain",
        ),
        (
            events.TrainingEnded(**AT, epoch=1, reason="stopped_by_user", message="asked", step=9),
            "stopping in epoch 2, step 9: asked",
        ),
        (events.WorkerLost(**AT, message="rank 1", ranks=[1]), "worker lost: rank 1"),
        (events.GroupFailed(**AT, error=Failure(kind="", message="no"), retrying=True), "failed, starting again: no"),
        (events.GroupFailed(**AT, error=Failure(kind="", message="no"), retrying=False), ""),
        (events.Warned(**AT, message="look"), "warning: look"),
        (events.ModelSaved(**AT, path="p"), ""),
    ],
)
def test_the_line_of_each_event(event: events.Event, line: str) -> None:
    assert event_line(event, RunSummary(run="a-1", epochs_planned=10)) == line


def test_an_epoch_of_an_unknown_number() -> None:
    assert event_line(EPOCH, RunSummary(run="a-1")).startswith("epoch 3 loss=")


def test_a_log_that_ends_well_ends_with_the_verdict() -> None:
    summary = RunSummary(run="a-1")
    summary.add(replace(EPOCH, best=events.Best(epoch=1, monitor="val_loss", value=0.125)))
    ended = events.RunFinished(**AT, status="SUCCEEDED", reason="early_stopped")
    assert success_line(ended, summary) == "SUCCEEDED (early_stopped): 1 epoch, best val_loss=0.1250 in epoch 2"
    assert success_line(replace(ended, error=Failure(kind="Hung", message="it hung")), summary) == ""
    assert success_line(EPOCH, summary) == ""
