"""The step sync: now and then within an epoch, one small sum over the workers carries what all of them must do alike.

Runs in: every Train worker. Its hook stands last among the callbacks, so that it sees what all the others have done.

A rank that left an epoch alone, or saved alone, would leave the others waiting for its part. So a stop that was asked
for, a loss that is no finite number, a checkpoint that is due and a callback's own `stop_training` are votes, and what
was voted happens on every rank after the same step. An epoch's last chunk has none: `ReportingHook` votes there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from raytrain import protocol
from raytrain.run.run_status import Reason
from raytrain.worker import fault_injection
from raytrain.worker.checkpoints.checkpoint_hook import CheckpointHook
from raytrain.worker.feed import Feed
from raytrain.worker.heartbeat import Position
from raytrain.worker.reporting_hook import Channel, ReportingHook
from raytrain.worker.strategy import sum_over_workers
from raytrain.worker.variables import local

_EVERY_S = 0.5
_MOST_CHUNKS = 256
_CHUNK_S = 0.25


class TrainingLeft(Exception):
    """Training was left within an epoch; `ReportingHook.reason` says why."""


@dataclass(frozen=True, kw_only=True)
class Votes:
    """What the ranks say at a sync; after the sum, how many say so. `step_s` is the sum of what a step took."""

    stop: float
    not_finite: float
    save: float
    callback_stop: float
    step_s: float


def chunk_steps(mean_step_s: float, *, most: int) -> int:
    """How many steps to run between two returns to Python: about a quarter second's worth, but not above `most`.

    Whatever waits for a return (a stop, a checkpoint by time, the position that a heartbeat tells) waits no longer, and
    steps that are short are run many at a time. Pure, and asked with the same number on every rank.
    """
    return max(1, min(most, int(_CHUNK_S / max(mean_step_s, 1e-6))))


def chunks_to_next(mean_chunk_s: float) -> int:
    """How many chunks from one sync to the next: about half a second's worth, and never so many that one waits long.

    Pure, and asked with the same number on every rank.
    """
    return max(1, min(_MOST_CHUNKS, int(_EVERY_S / max(mean_chunk_s, 1e-6))))


def saves_by_steps(step: int, *, since: int, chunk: int, every: int | None) -> bool:
    """Whether to save now, `step` steps into the epoch, so that a kill repeats at most `every` steps.

    Args:
        since: the step of the last save in this epoch, 0 when there was none.
        chunk: steps until the next occasion.
    """
    return every is not None and step + chunk - since > every


class StepSyncHook(keras.callbacks.Callback):  # type: ignore[misc]
    """Carries the votes, and acts on them.

    Args:
        every_chunk: whether any of the user's callbacks acts on batches, and so may stop training at each.
        at_epoch_begin: whether there are any, which may stop training as an epoch begins.
    """

    def __init__(
        self,
        feed: Feed,
        channel: Channel,
        strategy: tf.distribute.Strategy,
        reporting: ReportingHook,
        checkpoints: CheckpointHook,
        *,
        rank: int,
        every_steps: int | None,
        every_chunk: bool,
        at_epoch_begin: bool,
        position: Position,
        injector: fault_injection.Injector,
    ) -> None:
        super().__init__()
        self._feed = feed
        self._channel = channel
        self._strategy = strategy
        self._reporting = reporting
        self._checkpoints = checkpoints
        self._rank = rank
        self._every_steps = every_steps
        self._every_chunk = every_chunk
        self._at_epoch_begin = at_epoch_begin
        self._position = position
        self._injector = injector
        self._is_first = True
        self._held = False
        self._chunks_left = 1

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._step = self._saved_step = self._feed.first_step
        self._measure()
        if self._at_epoch_begin:  # who stops then ends the epoch after one step, as in plain Keras
            self._chunks_left = 1
            if self._feed.most_chunk_steps is not None:
                self._feed.chunk_steps = 1
        if self._position.now.phase == "setup":  # which lasts until the first step is done
            self._position.begin_steps()
        else:
            self._position.reach("train", epoch, self._step)
        self._inject()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._step = min(batch + 1, self._feed.num_batches)
        self._position.advance(self._epoch, self._step)
        if self._is_first:
            self._channel.send(protocol.PhaseDone(rank=self._rank, time=time(), name="first_step"))
            self._is_first = False
        self._inject()
        self._held = self._held or self.model.stop_training
        if self._step == self._feed.num_batches:
            self.model.stop_training, self._held = self._held, False
            self._position.reach("epoch_end", self._epoch, self._step)
            return
        self.model.stop_training = False  # held back until all ranks know
        self._chunks_left -= 1
        following = max(self._feed.next_steps, self.model.steps_per_execution)
        due = saves_by_steps(self._step, since=self._saved_step, chunk=following, every=self._every_steps)
        if due or self._every_chunk or self._chunks_left <= 0:
            self._vote(logs or {}, due=due)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._position.touch()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._position.reach("finish", self._position.now.epoch, self._position.now.step)

    def _vote(self, logs: Mapping[str, Any], *, due: bool) -> None:
        chief = self._rank == 0
        votes = Votes(
            stop=float(chief and self._channel.asked() == "stop"),
            not_finite=float(not math.isfinite(float(np.asarray(logs.get("loss", 0.0))))),  # waits for the device
            save=float(chief and self._checkpoints.is_due_by_time),
            callback_stop=float(self._held),
            step_s=(perf_counter() - self._measured_at) / (self._step - self._measured_step),
        )
        summed = sum_over_workers(self._strategy, list(vars(votes).values()))
        agreed = Votes(**dict(zip(vars(votes), summed, strict=True)))
        self._pace(agreed.step_s / self._strategy.num_replicas_in_sync)
        self._held = False
        if agreed.not_finite:
            where = f"step {self._step} of epoch {self._epoch + 1}"
            self._leave(Reason.DIVERGED, f"the loss is no finite number at {where}")
        stops = agreed.stop > 0 and not agreed.callback_stop  # which ends training for good, after the epoch
        if stops:  # training is left: the driver waits for what is written now as at an epoch's end
            self._position.reach("epoch_end", self._epoch, self._step)
        if due or agreed.save or stops:
            self._checkpoints.save_within(self._epoch, self._step, must=stops)
            self._saved_step = self._step
        if stops:
            self._leave(Reason.STOPPED_BY_USER, "a stop was asked for")
        self.model.stop_training = agreed.callback_stop > 0
        self._measure()

    def _pace(self, mean_step_s: float) -> None:
        """Fits the chunks that are gathered from now on, and the time to the next sync, to what a step takes."""
        if self._feed.most_chunk_steps is not None:
            self._feed.chunk_steps = chunk_steps(mean_step_s, most=self._feed.most_chunk_steps)
        self._chunks_left = chunks_to_next(mean_step_s * self._feed.chunk_steps)

    def _measure(self) -> None:
        self._measured_at, self._measured_step = perf_counter(), self._step

    def _leave(self, reason: Reason, text: str) -> None:
        self._reporting.end(reason, text, epoch=self._epoch, step=self._step)
        raise TrainingLeft

    def _inject(self) -> None:
        kind = self._injector.kind_at(self._epoch, self._step)
        if kind == "nan":
            variable = local(self._strategy, self.model.trainable_variables[0])
            variable.assign(tf.fill(variable.shape, tf.constant(math.nan, variable.dtype)))
        fault_injection.act(kind)
