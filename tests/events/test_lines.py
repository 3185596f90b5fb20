from typing import Any

import pytest

from raytrain.events import types
from raytrain.events.lines import event_line
from raytrain.events.summary import RunSummary

AT: dict[str, Any] = {"run": "a-1", "attempt": 1, "time": 100.0}
EPOCH = types.EpochEnd(
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
        (types.AttemptStarted(**AT, workers=2), ""),
        (types.AttemptStarted(**AT, workers=1, restart=2), "attempt 1, restart 2: starting 1 worker"),
        (types.Restored(**AT, epoch=1, path="p"), "restored the checkpoint of epoch 2"),
        (types.CheckpointSkipped(**AT, path="p", why="torn"), "checkpoint p left aside: torn"),
        (types.EarlyStop(**AT, epoch=1, reason="early_stopped", message="no gain"), "stopping after epoch 2: no gain"),
        (types.WorkerLost(**AT, message="rank 1", ranks=[1]), "worker lost: rank 1"),
        (types.AttemptFailed(**AT, error={"message": "no"}, retrying=True), "failed, starting again: no"),
        (types.AttemptFailed(**AT, error={"message": "no"}, retrying=False), ""),
        (types.Warned(**AT, message="look"), "warning: look"),
        (types.ModelSaved(**AT, path="p"), ""),
    ],
)
def test_the_line_of_each_event(event: types.Event, line: str) -> None:
    assert event_line(event, RunSummary(run="a-1", epochs_planned=10)) == line


def test_an_epoch_of_an_unknown_number() -> None:
    assert event_line(EPOCH, RunSummary(run="a-1")).startswith("epoch 3 loss=")
