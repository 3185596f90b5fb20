"""Trains one model on this worker's share of the data, from the built model to the saved one.

Runs in: every Train worker. Knows nothing of Ray: who the other workers are stands in TF_CONFIG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time

import keras
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

from raytrain.run import Reason, RunPaths
from raytrain.spec.schema import JobSpec
from raytrain.worker import checkpoint, components, messages, saving, steps
from raytrain.worker.batch_norm import plain_layers, synchronized
from raytrain.worker.feed import Arrays, Feed
from raytrain.worker.feeds import make_feeds, set_steps_per_execution
from raytrain.worker.mending import mend
from raytrain.worker.model import build_model
from raytrain.worker.reporting import Channel, ReportingHook, scalars
from raytrain.worker.restoring import newest_checkpoint
from raytrain.worker.setup import release_port
from raytrain.worker.statistics import StatisticsHook
from raytrain.worker.strategy import join
from raytrain.worker.user_callbacks import act_on_batches, for_rank


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """What one worker is to do.

    Attributes:
        splits: `train`, and `validation` and `test` where there are any: all rows of each.
        folder: the user's own files.
        base_model: the saved model to start from, if any.
    """

    spec: JobSpec
    splits: Mapping[str, Arrays]
    rank: int
    folder: Path
    paths: RunPaths
    base_model: Path | None = None


def train(job: WorkerJob, channel: Channel) -> Reason:
    """Builds, fits, tests and saves; returns why training ended."""
    spec, rank = job.spec, job.rank
    _phase(channel, rank, "tensorflow")
    strategy = join(gpus_per_worker=spec.scaling.gpus_per_worker)
    release_port()
    mend(rank=rank)
    keras.utils.set_random_seed(spec.fit.seed)
    found = newest_checkpoint(job.paths.checkpoints, channel, strategy, rank=rank)
    model = build_model(spec, job.folder, strategy, base_model=job.base_model)
    feeds = make_feeds(spec, job.splits, rank=rank, workers=strategy.num_replicas_in_sync)
    notice = _chief_notice(channel, rank)
    declared = components.callbacks(spec.callbacks, job.folder)
    callbacks = for_rank(declared, rank=rank, notice=notice)
    set_steps_per_execution(model, spec, feeds, wants_batches=act_on_batches(declared))
    _use_own_steps(model, strategy, feeds, notice)
    reporting = ReportingHook(
        spec,
        feeds["train"],
        channel,
        strategy,
        rank=rank,
        first_step_done=lambda: _phase(channel, rank, "first_step"),
        others_act_on_batches=act_on_batches(declared),
    )
    with synchronized(_to_synchronize(model, spec, strategy, notice)):
        _build(model, strategy, feeds["train"])
        _announce_model(model, job, channel)
        reason = _fit(model, job, feeds, callbacks, reporting, channel, strategy, found[1] if found else None)
    if reason is not Reason.DIVERGED:
        _finish(model, job, feeds, reporting, channel)
    return reason


def _fit(
    model: keras.Model,
    job: WorkerJob,
    feeds: Mapping[str, Feed],
    callbacks: list[keras.callbacks.Callback],
    reporting: ReportingHook,
    channel: Channel,
    strategy: tf.distribute.Strategy,
    snapshot: checkpoint.Snapshot | None,
) -> Reason:
    """Fits from the snapshot on, or from the start."""
    spec = job.spec
    saver = saving.CheckpointHook(
        spec.checkpoint, job.paths.checkpoints, reporting, callbacks, channel, rank=job.rank, snapshot=snapshot
    )
    if snapshot is not None and not model.run_eagerly:
        model.train_function.trace(
            next(iter(feeds["train"]))
        )  # makes what only a step makes: a second optimizer's state
    stopped = snapshot.state["stopped"] if snapshot else None
    first = snapshot.epoch + 1 if snapshot else spec.fit.initial_epoch
    model.fit(
        feeds["train"],
        validation_data=feeds.get("validation"),
        validation_freq=spec.fit.validation_freq,
        initial_epoch=first,
        epochs=first if stopped else max(spec.fit.epochs, first),
        callbacks=[
            StatisticsHook(strategy, share=feeds["train"].share, rank=job.rank),
            *callbacks,
            reporting,
            saver,
        ],
        verbose=0,
    )
    return Reason(stopped) if stopped else reporting.reason


def _to_synchronize(
    model: keras.Model, spec: JobSpec, strategy: tf.distribute.Strategy, notice: Callable[[str], None]
) -> list[keras.layers.BatchNormalization]:
    """The layers that `fit.sync_batch_norm` is for; without it, the user is told what plain ones do here."""
    plain = plain_layers(model)
    if spec.fit.sync_batch_norm:
        return plain
    if plain and strategy.num_replicas_in_sync > 1:
        notice(
            f"BatchNormalization (layer {plain[0].name}) normalises each worker's part of a batch by itself, so the"
            " result depends on the number of workers; fit.sync_batch_norm=true takes the whole batch"
        )
    return []


def _finish(
    model: keras.Model, job: WorkerJob, feeds: Mapping[str, Feed], reporting: ReportingHook, channel: Channel
) -> None:
    """Puts the best weights back, evaluates the test rows and saves the model."""
    rule = job.spec.early_stopping
    if rule is not None and rule.restore_best and reporting.best_weights is not None:
        model.set_weights(reporting.best_weights)
    if "test" in feeds:
        metrics = model.evaluate(feeds["test"], return_dict=True, verbose=0)
        if job.rank == 0:
            channel.send(messages.Tested(rank=0, time=time(), metrics=scalars(metrics)))
    saved = saving.save_model(model, job.paths, rank=job.rank, notice=_chief_notice(channel, job.rank))
    if job.rank == 0:
        channel.send(messages.ModelWritten(rank=0, time=time(), path=str(saved)))


def _use_own_steps(
    model: keras.Model, strategy: tf.distribute.Strategy, feeds: Mapping[str, Feed], notice: Callable[[str], None]
) -> None:
    if model.jit_compile and not steps.can_jit(strategy):
        notice("jit_compile is left out: XLA cannot compile what workers on CPUs exchange")
    tested = [feed for split, feed in feeds.items() if split != "train"]
    model.train_function = steps.make_train_function(model, strategy, static_batch=not feeds["train"].has_partial_batch)
    model.test_function = steps.make_test_function(
        model, strategy, static_batch=not any(feed.has_partial_batch for feed in tested)
    )


def _build(model: keras.Model, strategy: tf.distribute.Strategy, feed: Feed) -> None:
    """Creates every variable before the first step is traced, those of Keras' own random draws among them."""
    with strategy.scope():
        global_seed_generator()
        model._symbolic_build(data_batch=feed.example_batch())


def _announce_model(model: keras.Model, job: WorkerJob, channel: Channel) -> None:
    _phase(channel, job.rank, "model")
    if job.rank != 0:
        return
    trainable = sum(int(variable.shape.num_elements()) for variable in _tensors(model.trainable_variables))
    channel.send(messages.Built(rank=0, time=time(), parameters=model.count_params(), trainable_parameters=trainable))
    saving.write_summary(model, job.paths.summary)
    saving.copy_code(job.folder, job.paths.code)


def _tensors(variables: list[keras.Variable]) -> list[tf.Variable]:
    return [variable.value for variable in variables]


def _chief_notice(channel: Channel, rank: int) -> Callable[[str], None]:
    """A way to tell the user something once."""

    def notice(text: str) -> None:
        if rank == 0:
            channel.send(messages.Notice(rank=0, time=time(), text=text))

    return notice


def _phase(channel: Channel, rank: int, name: str) -> None:
    channel.send(messages.PhaseDone(rank=rank, time=time(), name=name))
