"""The run's metrics as Ray sees them: gauges on the node's Prometheus endpoint, named `ray_raytrain_…`.

Runs in: the driver. What there is to export is listed in `raytrain.report.exported_metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time

from ray.util.metrics import Gauge

from raytrain.driver.rank_progress import RankState
from raytrain.report import exported_metrics as exported
from raytrain.report.exported_metrics import METRICS, PHASES, ExportedMetric
from raytrain.run.events import CheckpointSaved, EpochEnd, Event
from raytrain.run.summary import RunSummary


class Gauges:
    """Exports what each event changes, and where the ranks are; needs `ray.init`."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._gauges = {metric: Gauge(metric.name, metric.help, metric.labels) for metric in METRICS}

    def take(self, event: Event, summary: RunSummary) -> None:
        self._set(exported.ATTEMPT, event.attempt)
        self._set(exported.WORKERS, summary.workers)
        self._set(exported.RESTARTS, summary.restarts)
        self._set(exported.EPOCHS_PLANNED, summary.epochs_planned)
        match event:
            case EpochEnd():
                self._take_epoch(event, summary)
            case CheckpointSaved():
                self._set(exported.CHECKPOINT, event.time)
                self._set(exported.CHECKPOINT_SECONDS, event.seconds)
                self._set(exported.CHECKPOINT_BLOCKED, event.blocked_s)

    def ranks(self, states: Iterable[RankState]) -> None:
        """Where the ranks are, as their heartbeats tell."""
        for state in states:
            rank = str(state.rank)
            self._set(exported.ADVANCED, time() - state.stalled_s, rank=rank)
            self._set(exported.MEMORY, state.memory_bytes or None, rank=rank)
            self._set(exported.GPU, state.gpu_utilization, rank=rank)
            self._set(exported.GPU_MEMORY, state.gpu_memory_bytes, rank=rank)

    def close(self) -> None:
        """Ray goes on exporting the last values until the driver ends."""

    def _take_epoch(self, event: EpochEnd, summary: RunSummary) -> None:
        self._set(exported.EPOCH, event.epoch + 1)
        for name, value in event.metrics.items():
            self._set(exported.METRIC, float("nan") if value is None else value, metric=name)
        if event.best is not None:
            self._set(exported.BEST, event.best.value, metric=event.best.monitor)
            self._set(exported.BEST_EPOCH, event.best.epoch + 1)
        self._set(exported.PATIENCE_LEFT, event.patience_left)
        self._set(exported.LEARNING_RATE, event.learning_rate)
        self._set(exported.SKEW, max(event.rank_seconds) - min(event.rank_seconds))
        self._each(exported.ROWS_PER_S, event.rank_rows_per_s)
        self._each(exported.EPOCH_SECONDS, event.rank_seconds)
        for rank, seconds in enumerate(zip(event.rank_seconds, event.rank_wait_s, event.rank_train_s, strict=False)):
            self._take_rank(str(rank), *seconds, steps=summary.steps_per_epoch or 1)

    def _take_rank(self, rank: str, seconds: float, waited_s: float, train_s: float, *, steps: int) -> None:
        self._set(exported.INPUT_WAIT, waited_s / seconds if seconds else 0.0, rank=rank)
        for phase, took_s in zip(PHASES, (waited_s, train_s - waited_s, seconds - train_s), strict=True):
            self._set(exported.STEP_SECONDS, max(0.0, took_s) / steps, rank=rank, phase=phase)

    def _each(self, metric: ExportedMetric, values: Sequence[float]) -> None:
        for rank, value in enumerate(values):
            self._set(metric, value, rank=str(rank))

    def _set(self, metric: ExportedMetric, value: float | None, /, **labels: str) -> None:
        self._gauges[metric].set(value, {"run": self._run, **labels})
