from __future__ import annotations

import math
import time
from typing import Any

import pytest

from raytrain.driver.rank_progress import RankState
from raytrain.driver.sinks import gauges
from raytrain.driver.sinks.gauges import Gauges
from raytrain.report.exported_metrics import METRICS
from raytrain.run.event_values import Best, SplitShards
from raytrain.run.events import CheckpointSaved, EpochEnd, Event, Sharded, Submitted
from raytrain.run.summary import RunSummary

EPOCH = EpochEnd.measured(
    epoch=2,
    attempt=3,
    metrics={"loss": None, "val_loss": 0.25},
    rank_seconds=[4.0, 5.0],
    rank_rows=[8, 20],
    rank_wait_s=[1.0, 2.0],
    rank_train_s=[3.0, 4.0],
    best=Best(epoch=1, monitor="val_loss", value=0.2),
    patience_left=1,
    learning_rate=0.01,
)
RANK = RankState(rank=1, stalled_s=7.0, memory_bytes=512, gpu_utilization=0.5, gpu_memory_bytes=64)


class Exported:
    """Stands for Ray's gauges: what was set, by name and labels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[tuple[str, ...], float] = {}
        monkeypatch.setattr(gauges, "Gauge", self._make)
        self.summary, self.sink = RunSummary(run="a"), Gauges("a")

    def follow(self, *events: Event) -> None:
        for event in events:
            self.summary.add(event)
            self.sink.take(event, self.summary)

    def _make(self, name: str, help: str, labels: tuple[str, ...]) -> Any:
        def set_(value: float | None, tags: dict[str, str]) -> None:
            assert (set(tags), tags["run"]) == (set(labels), "a")
            if value is not None:
                key = (name.removeprefix("raytrain_"), *(tags[label] for label in labels[1:]))
                self.values[key] = value

        return type("Gauge", (), {"set": staticmethod(set_)})


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    return Exported(monkeypatch)


def test_an_epoch_is_exported_as_it_was_measured(exported: Exported) -> None:
    shards = SplitShards(rows=28, steps=2, rows_per_worker=[8, 20])
    submitted = Submitted(name="a", workers=2, global_batch_size=14, epochs=9, storage="/s", submitted_at=0.0)
    saved = CheckpointSaved(epoch=2, path="/c", seconds=0.5, blocked_s=0.1, time=99.0, attempt=3)
    exported.follow(submitted, Sharded(splits={"train": shards}), EPOCH, saved)
    values = exported.values
    assert math.isnan(values.pop(("metric", "loss")))
    assert values == {
        ("attempt",): 3,
        ("workers",): 2,
        ("restarts",): 0,
        ("epochs_planned",): 9,
        ("epoch",): 3,
        ("metric", "val_loss"): 0.25,
        ("best", "val_loss"): 0.2,
        ("best_epoch",): 2,
        ("patience_left",): 1,
        ("learning_rate",): 0.01,
        ("rows_per_s", "0"): 2,
        ("rows_per_s", "1"): 4,
        ("epoch_seconds", "0"): 4,
        ("epoch_seconds", "1"): 5,
        ("skew_seconds",): 1,
        ("input_wait_ratio", "0"): 0.25,
        ("input_wait_ratio", "1"): 0.4,
        ("step_seconds", "0", "input"): 0.5,
        ("step_seconds", "0", "train"): 1,
        ("step_seconds", "0", "validation"): 0.5,
        ("step_seconds", "1", "input"): 1,
        ("step_seconds", "1", "train"): 1,
        ("step_seconds", "1", "validation"): 0.5,
        ("checkpoint_timestamp_seconds",): 99,
        ("checkpoint_seconds",): 0.5,
        ("checkpoint_blocked_seconds",): 0.1,
    }


def test_ranks_are_exported_as_their_heartbeats_tell(exported: Exported) -> None:
    exported.sink.ranks([RankState(rank=0), RANK])
    values = exported.values
    assert values.pop(("advanced_timestamp_seconds", "0")) == pytest.approx(time.time(), abs=5)
    assert values.pop(("advanced_timestamp_seconds", "1")) == pytest.approx(time.time() - 7, abs=5)
    assert values == {
        ("memory_bytes", "1"): 512,
        ("gpu_utilization_ratio", "1"): 0.5,
        ("gpu_memory_bytes", "1"): 64,
    }


def test_nothing_is_listed_that_is_not_exported(exported: Exported) -> None:
    exported.follow(EPOCH, CheckpointSaved(epoch=2, path="/c", seconds=0.5, attempt=3))
    exported.summary.workers, exported.summary.epochs_planned = 2, 9
    exported.follow(EPOCH)
    exported.sink.ranks([RANK])
    assert {f"raytrain_{key[0]}" for key in exported.values} == {metric.name for metric in METRICS}
