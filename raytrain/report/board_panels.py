"""What the Grafana board shows: one list of panels, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field

from raytrain.report import exported_metrics as exported
from raytrain.report.exported_metrics import ExportedMetric
from raytrain.report.queries import last

# What Grafana puts in: the chosen runs, and the span of time that is shown.
CHOSEN = 'run=~"$run"'
_SHOWN = "$__range"
_LOSS = 'metric=~"(val_)?loss"'


@dataclass(frozen=True, kw_only=True)
class Query:
    """PromQL, and how its series are called."""

    expr: str
    legend: str = "{{run}}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel; `kind`: Grafana's name for how it is drawn."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A question, and the panels that answer it."""

    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def _over_time(metric: ExportedMetric, title: str, *, matching: str = "", by: str = "") -> Panel:
    """The metric as a curve, each series by its labels, or the largest by those named."""
    labels = tuple(by.split(", ")) if by else metric.labels
    matchers = ",".join(filter(None, (CHOSEN, matching)))
    legend = " ".join(f"rank {{{{{name}}}}}" if name == "rank" else f"{{{{{name}}}}}" for name in labels)
    query = Query(expr=f"max by ({', '.join(labels)}) ({metric.series}{{{matchers}}})", legend=legend)
    return Panel(title=title, says=metric.help, queries=(query,), unit=metric.unit)


def _newest(metric: ExportedMetric, title: str, legend: str = "{{run}}") -> Panel:
    """The last value as a figure, also of a run that has ended within the span that is shown."""
    query = Query(expr=last(metric, matching=CHOSEN, within=_SHOWN), legend=legend)
    return Panel(title=title, says=metric.help, queries=(query,), unit=metric.unit, kind="stat")


def _since(metric: ExportedMetric, title: str, says: str) -> Panel:
    query = Query(expr=f"time() - max by (run) ({metric.series}{{{CHOSEN}}})")
    return Panel(title=title, says=says, queries=(query,), unit="s")


ROWS = (
    Row(
        title="Where it stands",
        panels=(
            _newest(exported.EPOCH, "Epoch"),
            _newest(exported.EPOCHS_PLANNED, "Epochs planned"),
            _newest(exported.BEST, "Best", "{{run}} {{metric}}"),
            _newest(exported.BEST_EPOCH, "Best epoch"),
            _newest(exported.WORKERS, "Workers"),
            _newest(exported.ATTEMPT, "Attempt"),
        ),
    ),
    Row(
        title="Does it learn?",
        panels=(
            _over_time(exported.METRIC, "Loss", matching=_LOSS),
            _over_time(exported.METRIC, "Other metrics", matching=_LOSS.replace("=~", "!~")),
            _over_time(exported.LEARNING_RATE, "Learning rate"),
            _over_time(exported.PATIENCE_LEFT, "Patience left"),
        ),
    ),
    Row(
        title="How fast is it?",
        panels=(
            Panel(
                title="Rows a second, all workers",
                says=exported.ROWS_PER_S.help,
                queries=(Query(expr=f"sum by (run) ({exported.ROWS_PER_S.series}{{{CHOSEN}}})"),),
                unit=exported.ROWS_PER_S.unit,
            ),
            _over_time(exported.EPOCH_SECONDS, "Seconds an epoch", by="run"),
            Panel(
                title="Seconds a step, by phase",
                says=exported.STEP_SECONDS.help,
                queries=(
                    Query(
                        expr=f"avg by (run, phase) ({exported.STEP_SECONDS.series}{{{CHOSEN}}})",
                        legend="{{run}} {{phase}}",
                    ),
                ),
                unit="s",
                stacked=True,
            ),
            _over_time(exported.SKEW, "Skew"),
        ),
    ),
    Row(
        title="What does it wait for?",
        panels=(
            _over_time(exported.INPUT_WAIT, "Waiting for rows"),
            _since(exported.ADVANCED, "Since a worker advanced", "Seconds since any rank came to another step."),
            _since(exported.CHECKPOINT, "Age of the newest checkpoint", "What a restart now would train again."),
            _over_time(exported.CHECKPOINT_SECONDS, "Seconds a checkpoint"),
            _over_time(exported.CHECKPOINT_BLOCKED, "Training stood still for a checkpoint"),
            _over_time(exported.RESTARTS, "Restarts"),
        ),
    ),
    Row(
        title="What does it take?",
        panels=(
            _over_time(exported.MEMORY, "Memory"),
            _over_time(exported.GPU, "GPU at work"),
            _over_time(exported.GPU_MEMORY, "GPU memory"),
        ),
    ),
)
