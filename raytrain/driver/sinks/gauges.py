"""The run's metrics as Ray sees them: gauges on the node's Prometheus endpoint, named `ray_raytrain_…`.

Runs in: the driver.
"""

from __future__ import annotations

from ray.util.metrics import Gauge

from raytrain.run.events import EpochEnd, Event
from raytrain.run.summary import RunSummary


class Gauges:
    """Exports the newest epoch; needs `ray.init`."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._epoch = Gauge("raytrain_epoch", "The newest finished epoch, counted from 1.", ("run",))
        self._metric = Gauge("raytrain_metric", "Each metric of the newest epoch, pooled.", ("run", "metric"))
        self._rows = Gauge("raytrain_rows_per_s", "Train rows a second of each rank.", ("run", "rank"))

    def take(self, event: Event, summary: RunSummary) -> None:
        if not isinstance(event, EpochEnd):
            return
        self._epoch.set(event.epoch + 1, {"run": self._run})
        for name, value in event.metrics.items():
            if value is not None:
                self._metric.set(value, {"run": self._run, "metric": name})
        for rank, rate in enumerate(event.rank_rows_per_s):
            self._rows.set(rate, {"run": self._run, "rank": str(rank)})

    def close(self) -> None:
        """Ray goes on exporting the last values until the driver ends."""
