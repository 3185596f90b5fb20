"""The callbacks of a training in their order: raytrain's own around those of the user.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from raytrain.spec.job import JobSpec
from raytrain.worker import fault_injection
from raytrain.worker.checkpoints import checkpoint
from raytrain.worker.checkpoints.checkpoint_hook import CheckpointHook
from raytrain.worker.checkpoints.checkpoint_writer import Writer
from raytrain.worker.checkpoints.compile_state import CompileState
from raytrain.worker.checkpoints.learning_rate_cut import FallBacks
from raytrain.worker.exact.moving_averages import StatisticsHook
from raytrain.worker.feed import Feed
from raytrain.worker.heartbeat import Position
from raytrain.worker.reporting_hook import Channel, ReportingHook
from raytrain.worker.step_sync import StepSyncHook
from raytrain.worker.user_callbacks import act_on_batches


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What `fit` calls, in order: statistics that agree, the user's own, the report, the checkpoint, the step sync."""

    statistics: StatisticsHook
    callbacks: list[keras.callbacks.Callback]
    reporting: ReportingHook
    checkpoints: CheckpointHook
    step_sync: StepSyncHook

    @property
    def in_order(self) -> list[keras.callbacks.Callback]:
        return [self.statistics, *self.callbacks, self.reporting, self.checkpoints, self.step_sync]

    def leave(self, model: keras.Model) -> None:
        """Does what Keras does at the end of `fit`, when it was left within an epoch."""
        self.statistics.average()
        if isinstance(model.optimizer, keras.optimizers.Optimizer):
            model.optimizer.finalize_variable_values(model.trainable_weights)
        for hook in self.in_order:
            hook.on_train_end()


def make_hooks(
    spec: JobSpec,
    feed: Feed,
    channel: Channel,
    strategy: tf.distribute.Strategy,
    *,
    rank: int,
    callbacks: list[keras.callbacks.Callback],
    declared: Sequence[keras.callbacks.Callback],
    writer: Writer | None,
    snapshot: checkpoint.Snapshot | None,
    fall_backs: FallBacks,
    compiled: CompileState,
    position: Position,
    injector: fault_injection.Injector,
) -> Hooks:
    """The hooks of this rank.

    Args:
        callbacks: this rank's part of the `declared` ones, which are the same on every rank.
        writer: the chief's.
        snapshot: where training goes on from.
    """
    reporting = ReportingHook(spec, feed, channel, strategy, rank=rank, fall_backs=fall_backs.count)
    checkpoints = CheckpointHook(
        spec.checkpoint,
        writer,
        reporting,
        callbacks,
        strategy,
        rank=rank,
        snapshot=snapshot,
        fall_backs=fall_backs,
        compiled=compiled,
    )
    step_sync = StepSyncHook(
        feed,
        channel,
        strategy,
        reporting,
        checkpoints,
        rank=rank,
        every_steps=spec.checkpoint.every_steps,
        every_chunk=act_on_batches(declared),
        at_epoch_begin=bool(declared),
        position=position,
        injector=injector,
    )
    statistics = StatisticsHook(strategy, share=feed.share, rank=rank, last_ranks=feed.last_ranks)
    return Hooks(
        statistics=statistics, callbacks=callbacks, reporting=reporting, checkpoints=checkpoints, step_sync=step_sync
    )
