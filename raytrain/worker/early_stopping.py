"""The rule that ends training: patience, target, time limit, NaN. Pure; evaluated once an epoch, by the chief.

Every rank keeps the same `Progress`, because pooled metrics are the same on all; only the decision itself, which also
depends on clocks, is taken from the chief.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from ctypes import c_float
from dataclasses import dataclass, replace
from typing import Literal

from raytrain.errors import Problem, UserCodeError
from raytrain.protocol import Pause
from raytrain.run.events import Best
from raytrain.run.run_status import Reason
from raytrain.spec.job import DivergenceSpec, EarlyStoppingSpec

Mode = Literal["min", "max"]
_LARGER_IS_BETTER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "top_k", "sensitivity")


DECISIONS: tuple[Reason | Pause, ...] = (
    Reason.EARLY_STOPPED,
    Reason.TARGET_REACHED,
    Reason.TIME_LIMIT,
    Reason.DIVERGED,
    Reason.STOPPED_BY_CALLBACK,
    Reason.STOPPED_BY_USER,
    Pause.RESIZE,
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The monitored value's best epoch so far and the epochs waited since; epochs are counted from 0."""

    best_value: float | None = None
    best_epoch: int | None = None
    waited: int = 0

    def best(self, monitor: str) -> Best | None:
        if self.best_epoch is None:
            return None
        return Best(epoch=self.best_epoch, monitor=monitor, value=self.best_value)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Training ends, for `reason`; `text` says it with numbers."""

    reason: Reason | Pause
    text: str


def infer_mode(monitor: str, directions: Mapping[str, str | None]) -> Mode:
    """Whether smaller or larger is better, from Keras' own metric directions (`up`, `down`), else from the name."""
    name = monitor.removeprefix("val_")
    direction = directions.get(name)
    if direction is not None:
        return "max" if direction == "up" else "min"
    return "max" if any(part in name.lower() for part in _LARGER_IS_BETTER) else "min"


def advance(
    progress: Progress, *, epoch: int, value: float, mode: Mode, min_delta: float, start_from_epoch: int = 0
) -> Progress:
    """The progress after an epoch: better by more than `min_delta` is a new best; NaN never is.

    Rounded as `keras.callbacks.EarlyStopping` does it: the difference in float64, the comparison in float32.
    """
    if epoch < start_from_epoch:
        return progress
    sign = 1.0 if mode == "min" else -1.0
    better = not math.isnan(value) and (
        progress.best_value is None
        or c_float(sign * value + min_delta).value < c_float(sign * progress.best_value).value
    )
    if better:
        return Progress(best_value=value, best_epoch=epoch, waited=0)
    return replace(progress, waited=progress.waited + 1)


def monitored(metrics: Mapping[str, float], monitor: str) -> float:
    """The monitored value of an epoch.

    Raises:
        UserCodeError: no such metric was computed.
    """
    if monitor not in metrics:
        raise UserCodeError(
            Problem(
                field="early_stopping.monitor",
                got=f"`{monitor}`",
                expected="one of " + ", ".join(sorted(metrics)),
                fix="name one of these, or add the metric to compile.metrics",
            )
        )
    return metrics[monitor]


def after_divergence(spec: DivergenceSpec, *, fall_backs: int) -> Reason | Pause:
    """What follows a loss that is no finite number, after so many fall backs."""
    falls_back = spec.action == "fall_back" and fall_backs < spec.max
    return Pause.FALL_BACK if falls_back else Reason.DIVERGED


def decide(
    rule: EarlyStoppingSpec | None,
    progress: Progress,
    *,
    mode: Mode,
    metrics: Mapping[str, float],
    elapsed_s: float,
    time_limit_s: float | None,
    asked: str = "",
    weights_finite: bool = True,
) -> Decision | None:
    """Whether training ends after this epoch. `progress` already counts it; `elapsed_s` is since training began.

    `asked`: what the driver asks for, `stop`, `resize` or nothing.
    """
    loss = metrics.get("loss", 0.0)
    if not math.isfinite(loss):
        return Decision(reason=Reason.DIVERGED, text=f"the loss is {loss}")
    if not weights_finite:  # a relu, say, may hide that from the loss
        return Decision(reason=Reason.DIVERGED, text="a weight is no finite number")
    if rule is not None:
        value = monitored(metrics, rule.monitor)
        if rule.target is not None and (value <= rule.target if mode == "min" else value >= rule.target):
            return Decision(reason=Reason.TARGET_REACHED, text=f"{rule.monitor} {value:.6g} reached {rule.target:g}")
        if progress.waited > 0 and progress.waited >= rule.patience:
            best = f"{progress.best_value:.6g}" if progress.best_value is not None else "none"
            return Decision(
                reason=Reason.EARLY_STOPPED,
                text=f"{rule.monitor} no better than {best} for {progress.waited} epochs (patience {rule.patience})",
            )
    if time_limit_s is not None and elapsed_s >= time_limit_s:
        return Decision(reason=Reason.TIME_LIMIT, text=f"{elapsed_s:.0f} s passed (limit {time_limit_s:g} s)")
    if asked == "stop":  # last, or a group that goes on would not know that training had come to its own end
        return Decision(reason=Reason.STOPPED_BY_USER, text="a stop was asked for")
    if asked == "resize":
        return Decision(reason=Pause.RESIZE, text="training goes on with another number of workers")
    return None
