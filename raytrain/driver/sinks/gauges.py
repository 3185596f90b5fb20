"""The run's metrics as Ray sees them: gauges on the node's Prometheus endpoint, named `ray_raytrain_…`.

Runs in: the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray.util.metrics import Gauge


class Gauges:
    def __init__(self, run: str) -> None:
        self._run = run
        self._epoch = Gauge("raytrain_epoch", "The newest finished epoch, counted from 1.", ("run",))
        self._metric = Gauge("raytrain_metric", "Each metric of the newest epoch, pooled.", ("run", "metric"))
        self._rows = Gauge("raytrain_rows_per_s", "Train rows a second of each rank.", ("run", "rank"))

    def set(self, epoch: int, metrics: Mapping[str, float], rank_rows_per_s: Sequence[float]) -> None:
        """Sets all gauges to those of `epoch`, counted from 0."""
        self._epoch.set(epoch + 1, {"run": self._run})
        for name, value in metrics.items():
            self._metric.set(value, {"run": self._run, "metric": name})
        for rank, rate in enumerate(rank_rows_per_s):
            self._rows.set(rate, {"run": self._run, "rank": str(rank)})
