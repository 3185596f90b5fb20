"""The metrics that a run exports: one list, from which the driver's gauges, the board, the rules and the docs are made.

Ray puts `ray_` before each name. Labels are bounded: a run's id, its ranks, the names of its metrics, three phases.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "ray_"
PHASES = ("input", "train", "validation")


@dataclass(frozen=True, kw_only=True)
class ExportedMetric:
    """A gauge.

    Attributes:
        name: as it is handed to Ray.
        help: what it says, and how it is measured.
        labels: beside those that Ray adds.
        unit: as Grafana calls it.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ("run",)
    unit: str = "short"

    @property
    def series(self) -> str:
        """Its name in Prometheus."""
        return PREFIX + self.name


ATTEMPT = ExportedMetric(name="raytrain_attempt", help="The attempt that goes on, counted from 1.")
WORKERS = ExportedMetric(name="raytrain_workers", help="Workers of the group that trains.")
RESTARTS = ExportedMetric(name="raytrain_restarts", help="Worker groups that failed and were followed by another.")
EPOCH = ExportedMetric(name="raytrain_epoch", help="The newest finished epoch, counted from 1.")
EPOCHS_PLANNED = ExportedMetric(name="raytrain_epochs_planned", help="Epochs that the job asks for.")
METRIC = ExportedMetric(
    name="raytrain_metric",
    help="Each metric of the newest epoch, pooled over all workers and rows; NaN where it is no number.",
    labels=("run", "metric"),
)
BEST = ExportedMetric(
    name="raytrain_best", help="The best value so far of the metric that is watched.", labels=("run", "metric")
)
BEST_EPOCH = ExportedMetric(name="raytrain_best_epoch", help="The epoch of the best value, counted from 1.")
PATIENCE_LEFT = ExportedMetric(
    name="raytrain_patience_left", help="Epochs without an improvement that are still borne; with early stopping."
)
LEARNING_RATE = ExportedMetric(name="raytrain_learning_rate", help="The optimizer's learning rate at the epoch's end.")
ROWS_PER_S = ExportedMetric(
    name="raytrain_rows_per_s", help="Train rows a second, in the newest epoch.", labels=("run", "rank"), unit="rowsps"
)
EPOCH_SECONDS = ExportedMetric(
    name="raytrain_epoch_seconds",
    help="Seconds of the newest epoch, its validation included.",
    labels=("run", "rank"),
    unit="s",
)
STEP_SECONDS = ExportedMetric(
    name="raytrain_step_seconds",
    help="Seconds of the newest epoch divided by its steps: waiting for rows (input), training (train), and what "
    "follows the last step (validation).",
    labels=("run", "rank", "phase"),
    unit="s",
)
INPUT_WAIT = ExportedMetric(
    name="raytrain_input_wait_ratio",
    help="The share of the newest epoch in which the training thread waited for rows.",
    labels=("run", "rank"),
    unit="percentunit",
)
SKEW = ExportedMetric(
    name="raytrain_skew_seconds",
    help="How much longer the newest epoch took on the slowest rank than on the fastest.",
    unit="s",
)
ADVANCED = ExportedMetric(
    name="raytrain_advanced_timestamp_seconds",
    help="When the rank last came to another step, epoch or phase, in seconds since 1970.",
    labels=("run", "rank"),
    unit="dateTimeAsIso",
)
CHECKPOINT = ExportedMetric(
    name="raytrain_checkpoint_timestamp_seconds",
    help="When the newest checkpoint was saved, in seconds since 1970.",
    unit="dateTimeAsIso",
)
CHECKPOINT_SECONDS = ExportedMetric(
    name="raytrain_checkpoint_seconds", help="How long the newest checkpoint took, from copy to commit.", unit="s"
)
CHECKPOINT_BLOCKED = ExportedMetric(
    name="raytrain_checkpoint_blocked_seconds",
    help="Seconds for which training stood still for the newest checkpoint.",
    unit="s",
)
MEMORY = ExportedMetric(
    name="raytrain_memory_bytes", help="Resident memory of the worker.", labels=("run", "rank"), unit="bytes"
)
GPU = ExportedMetric(
    name="raytrain_gpu_utilization_ratio",
    help="The share of time in which the worker's GPU worked, for whoever; none without an NVIDIA GPU.",
    labels=("run", "rank"),
    unit="percentunit",
)
GPU_MEMORY = ExportedMetric(
    name="raytrain_gpu_memory_bytes",
    help="Memory of the worker's GPU that is in use, by whoever.",
    labels=("run", "rank"),
    unit="bytes",
)

METRICS = (
    *(ATTEMPT, WORKERS, RESTARTS, EPOCH, EPOCHS_PLANNED, METRIC, BEST, BEST_EPOCH, PATIENCE_LEFT, LEARNING_RATE),
    *(ROWS_PER_S, EPOCH_SECONDS, STEP_SECONDS, INPUT_WAIT, SKEW, ADVANCED),
    *(CHECKPOINT, CHECKPOINT_SECONDS, CHECKPOINT_BLOCKED, MEMORY, GPU, GPU_MEMORY),
)
