"""The reporting hook: a Keras callback on every rank that measures epochs, reports them, and applies the stop decision.

Runs in: every Train worker. It stands last among the callbacks, so that it sees what the user's own have done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from raytrain import protocol
from raytrain.protocol import Pause
from raytrain.run import events
from raytrain.run.run_status import Reason
from raytrain.spec.job import EarlyStoppingSpec, JobSpec
from raytrain.worker import early_stopping
from raytrain.worker.checkpoints.best_weights import BestWeights
from raytrain.worker.feed import Feed
from raytrain.worker.strategy import sum_over_workers
from raytrain.worker.variables import are_finite

_MOST_REPORTS = 1000


class Channel(Protocol):
    """The way to the driver."""

    def send(self, message: protocol.Message) -> None:
        """Hands a message on without waiting for it to arrive."""

    def asked(self) -> str:
        """What the driver asks of the workers, as far as is known without waiting: `stop`, `resize` or nothing."""


@dataclass(frozen=True, kw_only=True)
class _Agreed:
    """What all ranks know at an epoch's end.

    Attributes:
        reason: why training is to end; None when it goes on.
        is_best: whether the epoch is the best so far.
        seconds: of the epoch, one a rank.
        waited_s: seconds of the epoch without rows, one a rank.
        train_s: seconds of the epoch before its validation began, one a rank.
    """

    reason: Reason | Pause | None
    is_best: bool
    seconds: list[float]
    waited_s: list[float]
    train_s: list[float]


class ReportingHook(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports each epoch and stops all ranks after the same one.

    Args:
        fall_backs: how often training has fallen back from a loss that was no finite number.

    Attributes:
        reason: why training ended, once it has.
        progress: the monitored value's best so far.
        best: the weights of the best epoch, when they are to be restored.
        reports: of the newest epochs, those of earlier attempts included; the chief's only.
    """

    def __init__(
        self,
        spec: JobSpec,
        feed: Feed,
        channel: Channel,
        strategy: tf.distribute.Strategy,
        *,
        rank: int,
        fall_backs: int = 0,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._feed = feed
        self._channel = channel
        self._strategy = strategy
        self._rank = rank
        self._fall_backs = fall_backs
        self.reason: Reason | Pause = Reason.COMPLETED
        self.progress = early_stopping.Progress()
        self.best = BestWeights()
        self.reports: deque[events.EpochEnd] = deque(maxlen=_MOST_REPORTS)
        self.mode: early_stopping.Mode = "min"
        self.elapsed_before_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those of earlier attempts included."""
        return self.elapsed_before_s + perf_counter() - self._began

    @property
    def is_diverged(self) -> bool:
        return self.reason in (Reason.DIVERGED, Pause.FALL_BACK)

    @property
    def clock(self) -> dict[str, float]:
        """This rank's seconds in the epoch so far, and those of them without rows."""
        return {
            "epoch_s": perf_counter() - self._epoch_began,
            "waited_s": self._feed.waited_s - self._waited_before_s,
        }

    def go_on_within(self, step: int, clock: Mapping[str, float]) -> None:
        """Takes the epoch that has just begun for one of which `step` steps are done, in the time of `clock`."""
        self._feed.first_step = step
        self._epoch_began -= clock["epoch_s"]
        self._waited_before_s -= clock["waited_s"]

    def end(self, reason: Reason | Pause, text: str, *, epoch: int, step: int = 0) -> None:
        """Notes, and on the chief tells, why training ends; every rank calls it with the same."""
        if reason is Reason.DIVERGED:
            reason = early_stopping.after_divergence(self._spec.divergence, fall_backs=self._fall_backs)
        self.reason = reason
        if self._rank == 0:
            best = self.progress.best(self._rule.monitor)
            self._tell(events.TrainingEnded(epoch=epoch, step=step, reason=reason, message=text, best=best))

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._began = perf_counter()
        rule = self._rule
        self.mode = (
            early_stopping.infer_mode(rule.monitor, _directions(self.model)) if rule.mode == "auto" else rule.mode
        )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._feed.epoch = epoch
        self._epoch_began = perf_counter()
        self._trained_s: float | None = None
        self._waited_before_s = self._feed.waited_s

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._trained_s = perf_counter() - self._epoch_began

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        metrics = scalars(logs or {})
        learning_rate = metrics.pop("learning_rate", None) or _learning_rate(self.model)
        self._follow_monitor(epoch, metrics)
        decision = self._decide(epoch, metrics) if self._rank == 0 else None
        agreed = self._exchange(decision, is_best=self.progress.best_epoch == epoch)
        if agreed.is_best and self._rule.restore_best:
            self._keep_best()
        if self._rank == 0:
            report = events.EpochEnd.measured(
                time=time(),
                epoch=epoch,
                rank_seconds=agreed.seconds,
                rank_rows=list(self._feed.rows_per_worker),
                rank_wait_s=agreed.waited_s,
                rank_train_s=agreed.train_s,
                metrics=metrics,
                learning_rate=learning_rate,
                best=self.progress.best(self._rule.monitor),
                patience_left=self._patience_left,
            )
            self.reports.append(report)
            self._tell(report)
        if agreed.reason is not None:
            self.model.stop_training = True
            decided = decision is not None and decision.reason == agreed.reason
            text = decision.text if decision and decided else "a callback set stop_training"
            self.end(agreed.reason, text, epoch=epoch)

    def _tell(self, event: events.Event) -> None:
        self._channel.send(protocol.Happened(rank=0, time=time(), event=event))

    @property
    def _rule(self) -> EarlyStoppingSpec:
        """The job's rule, or, where it has none, what is worth watching all the same."""
        watched = "loss" if self._spec.data.validation is None else "val_loss"
        return self._spec.early_stopping or EarlyStoppingSpec(monitor=watched, restore_best=False)

    @property
    def _patience_left(self) -> int | None:
        rule = self._spec.early_stopping
        return None if rule is None else max(0, rule.patience - self.progress.waited)

    def _follow_monitor(self, epoch: int, metrics: Mapping[str, float]) -> None:
        rule = self._rule
        expected = self._spec.early_stopping is not None and (
            self._validated(epoch) or not rule.monitor.startswith("val_")
        )
        if rule.monitor not in metrics and not expected:
            return
        self.progress = early_stopping.advance(
            self.progress,
            epoch=epoch,
            value=early_stopping.monitored(metrics, rule.monitor),
            mode=self.mode,
            min_delta=rule.min_delta,
            start_from_epoch=rule.start_from_epoch,
        )

    def _keep_best(self) -> None:
        self.best.keep(self._strategy, self.model.weights)

    def _validated(self, epoch: int) -> bool:
        return (epoch + 1) % self._spec.fit.validation_freq == 0

    def _exchange(self, decision: early_stopping.Decision | None, *, is_best: bool) -> _Agreed:
        """Takes the chief's word, any rank's own `stop_training`, and all ranks' clocks to all in one small sum."""
        votes = [1.0 if decision and decision.reason == reason else 0.0 for reason in early_stopping.DECISIONS]
        votes[early_stopping.DECISIONS.index(Reason.STOPPED_BY_CALLBACK)] += float(self.model.stop_training)
        workers = self._strategy.num_replicas_in_sync
        clocks = np.zeros((3, workers))
        epoch_s, waited_s = self.clock["epoch_s"], self.clock["waited_s"]
        clocks[:, self._rank] = epoch_s, waited_s, epoch_s if self._trained_s is None else self._trained_s
        best = float(is_best and self._rank == 0)  # a metric that a callback adds may differ from rank to rank
        summed = sum_over_workers(self._strategy, [*votes, best, *clocks.ravel()])
        times = summed[len(votes) + 1 :]
        return _Agreed(
            reason=next(
                (reason for reason, vote in zip(early_stopping.DECISIONS, summed, strict=False) if vote > 0), None
            ),
            is_best=summed[len(votes)] > 0,
            seconds=times[:workers],
            waited_s=times[workers : 2 * workers],
            train_s=times[2 * workers :],
        )

    def _decide(self, epoch: int, metrics: Mapping[str, float]) -> early_stopping.Decision | None:
        rule = self._spec.early_stopping if self._rule.monitor in metrics else None
        asked = self._channel.asked()
        last = epoch + 1 == self.params["epochs"]
        return early_stopping.decide(
            rule,
            self.progress,
            mode=self.mode,
            metrics=metrics,
            elapsed_s=self.elapsed_s,
            time_limit_s=self._spec.fit.time_limit,
            asked="" if last else asked,
            weights_finite=are_finite(self._strategy, self.model.trainable_variables),
        )


def scalars(logs: Mapping[str, Any]) -> dict[str, float]:
    """Logs as numbers, the loss first; a metric with one value a class becomes `name_0`, `name_1`, …

    What a callback has added that is no number is left out.
    """
    flat: dict[str, float] = {}
    for name, value in logs.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biufV":  # bfloat16's is V
            continue
        parts = [(name, array)] if array.ndim == 0 else [(f"{name}_{i}", part) for i, part in enumerate(array.ravel())]
        flat |= {key: float(part) for key, part in parts}
    return dict(sorted(flat.items(), key=_loss_first))


def _loss_first(item: tuple[str, float]) -> tuple[bool, bool]:
    """Sorts train before validation and the loss before other metrics, which keep their order."""
    name = item[0]
    return name.startswith("val_"), name.removeprefix("val_") != "loss"


def _directions(model: keras.Model) -> dict[str, str | None]:
    """Keras' own knowledge of which way each metric is better."""
    metrics = list(model.metrics)
    compiled = getattr(model, "_compile_metrics", None)
    metrics += list(getattr(compiled, "metrics", []) or [])
    return {"loss": "down", **{metric.name: getattr(metric, "_direction", None) for metric in metrics}}


def _learning_rate(model: keras.Model) -> float | None:
    """None without an optimizer, and for a `MultiOptimizer`, which has no rate of its own."""
    rate = getattr(model.optimizer, "learning_rate", None)
    return None if rate is None else float(np.asarray(rate))
