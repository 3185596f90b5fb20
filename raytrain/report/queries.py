"""The questions to Prometheus that the rules and the board share, in PromQL."""

from __future__ import annotations

from raytrain.report import exported_metrics as exported
from raytrain.report.exported_metrics import ExportedMetric

# A gauge goes with its driver's process; what it said last can be read for so long.
LOOK_BACK = "1h"
# Ray's labels for the process that exported; each attempt of a run has a driver of its own.
_PROCESS = "SessionName, WorkerId"


def last(metric: ExportedMetric, *, matching: str = "", within: str = LOOK_BACK) -> str:
    """What the newest driver of each run said last, also when it has ended.

    Args:
        matching: label matchers, as in `run=~"$run"`.
    """
    selector = f"{{{matching}}}" if matching else ""
    newest = f"topk by (run) (1, last_over_time({exported.ATTEMPT.series}{selector}[{within}]))"
    values = f"last_over_time({metric.series}{selector}[{within}])"
    return f"max by ({', '.join(metric.labels)}) ({values} and on (run, {_PROCESS}) {newest})"


def recorded(metric: ExportedMetric) -> str:
    """The name under which a recording rule keeps `last` of a metric: `run_rank:raytrain_rows_per_s:last`."""
    return f"{'_'.join(metric.labels)}:{metric.name}:last"
