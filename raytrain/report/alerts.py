"""Prometheus' rules for runs: what is recorded of them, and when they alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raytrain.report import exported_metrics as exported
from raytrain.report.exported_metrics import METRICS
from raytrain.report.queries import last, recorded

_LOSSES = 'metric=~"loss|val_loss"'
_STALLED_S = 300
_RISE_OF_RESTARTS = f"max_over_time({exported.RESTARTS.series}[1h]) - min_over_time({exported.RESTARTS.series}[1h])"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert of a run.

    Attributes:
        expr: PromQL whose result has the label `run`.
        lasting: for how long it must hold.
        says: what is wrong, with Prometheus' templates for label and value.
        advice: what to look at.
    """

    name: str
    expr: str
    lasting: str
    says: str
    advice: str
    severity: str = "warning"

    def to_rule(self) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasting,
            "labels": {"severity": self.severity},
            "annotations": {"summary": "{{ $labels.run }}: " + self.says, "description": self.advice},
        }


def _is_nan(series: str) -> str:
    return f"{series} != {series}"


def _grown() -> str:
    """The train loss is twice its least of the last hour and half of its most, which noise around a low loss is not."""
    loss = f'{exported.METRIC.series}{{metric="loss"}}'
    least, most = f"min_over_time({loss}[1h])", f"max_over_time({loss}[1h])"
    return f"({loss} > 2 * {least} and {loss} > 0.5 * {most} and {least} > 0)"


ALERTS = (
    Alert(
        name="RaytrainDiverging",
        expr=f"max by (run) (({_is_nan(f'{recorded(exported.METRIC)}{{{_LOSSES}}}')}) or {_grown()})",
        lasting="0s",
        says="the loss is no number, or has doubled and is half of its highest of the last hour",
        advice="A lower learning rate, scaled inputs or clipnorm; divergence.action: fall_back goes back by itself.",
        severity="critical",
    ),
    Alert(
        name="RaytrainStalled",
        expr=f"time() - max by (run) ({exported.ADVANCED.series}) > {_STALLED_S}",
        lasting="0s",
        says="no worker has advanced for {{ $value | humanizeDuration }}",
        advice="raytrain status {{ $labels.run }} says what it waits for; the job's watchdog ends what hangs.",
        severity="critical",
    ),
    Alert(
        name="RaytrainRestarting",
        expr=f"max by (run) ({_RISE_OF_RESTARTS}) >= 2",
        lasting="0s",
        says="{{ $value }} restarts of its workers within an hour",
        advice="raytrain logs {{ $labels.run }} has the reason of each; restarts.max is how many a run survives.",
    ),
    Alert(
        name="RaytrainInputBound",
        expr=f"max by (run) (avg_over_time({exported.INPUT_WAIT.series}[10m])) > 0.5",
        lasting="5m",
        says="{{ $value | humanizePercentage }} of the time goes into waiting for rows",
        advice="data.cache keeps rows nearer to the workers; fewer or lighter preprocessing steps; faster storage.",
    ),
    Alert(
        name="RaytrainGpuIdle",
        expr=f"avg by (run) (avg_over_time({exported.GPU.series}[10m])) < 0.2"
        f" and on (run) max by (run) ({exported.EPOCH.series}) >= 1",
        lasting="10m",
        says="its GPUs work for {{ $value | humanizePercentage }} of the time",
        advice="A larger global batch, fewer workers, or input that keeps up; see the waiting for rows.",
    ),
)


def rules() -> dict[str, Any]:
    """The content of a rule file."""
    records = [{"record": recorded(metric), "expr": last(metric)} for metric in METRICS]
    return {
        "groups": [
            {"name": "raytrain-last", "rules": records},
            {"name": "raytrain-alerts", "rules": [alert.to_rule() for alert in ALERTS]},
        ]
    }
