"""Trains one model on this worker's share of the data, from the built model to the saved one.

Runs in: every Train worker. Knows nothing of Ray: who the other workers are stands in TF_CONFIG.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time

import keras
import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator

from raytrain import protocol
from raytrain.data.packed import Arrays
from raytrain.data.tiers.readers import Reader
from raytrain.protocol import Pause
from raytrain.run import events
from raytrain.run.run_paths import RunPaths
from raytrain.run.run_status import Reason
from raytrain.spec.job import JobSpec
from raytrain.worker import fault_injection, keras_objects, model_file
from raytrain.worker.adapt_layers import adapt_layers
from raytrain.worker.build_model import build_model
from raytrain.worker.callback_order import Hooks, make_hooks
from raytrain.worker.checkpoints import checkpoint
from raytrain.worker.checkpoints.checkpoint_hook import FLUSH_S
from raytrain.worker.checkpoints.checkpoint_writer import Writer
from raytrain.worker.checkpoints.compile_state import CompileState
from raytrain.worker.checkpoints.learning_rate_cut import FallBacks
from raytrain.worker.checkpoints.object_storage import publish_checkpoint
from raytrain.worker.checkpoints.restore_checkpoint import newest_checkpoint
from raytrain.worker.collectives import choose
from raytrain.worker.exact.batch_normalization import synchronized, tell_of_plain_layers
from raytrain.worker.exact.keras_patches import build_if_possible, mend
from raytrain.worker.feed import Feed
from raytrain.worker.heartbeat import Position
from raytrain.worker.load_base import defined_in
from raytrain.worker.number_formats import set_number_formats
from raytrain.worker.open_feeds import make_feeds, set_steps_per_execution
from raytrain.worker.own_steps import make_ready, refuse_without_train_function, use_own_steps
from raytrain.worker.process_setup import own_address, release_port
from raytrain.worker.proof.verdict import prove_if_needed
from raytrain.worker.reporting_hook import Channel, scalars
from raytrain.worker.step_sync import TrainingLeft
from raytrain.worker.strategy import join
from raytrain.worker.trainable_flags import flags_of
from raytrain.worker.user_callbacks import act_on_batches, for_rank, go_on_after
from raytrain.worker.variables import deciding


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """What one worker is to do.

    Attributes:
        splits: `train`, and `validation` and `test` where there are any: what each is read from.
        folder: the user's own files.
        base_model: the saved model to start from, if any.
        group: which worker group of the attempt this is.
        fall_backs: how often training has fallen back from a loss that was no finite number.
        proven: what workers of this run have proven before of their answer, if anything.
        position: where this rank is, for those who watch it.
        observers: called after all other callbacks; they change nothing.
    """

    spec: JobSpec
    splits: Mapping[str, Reader | Arrays]
    rank: int
    folder: Path
    paths: RunPaths
    base_model: Path | None = None
    group: int = 0
    fall_backs: int = 0
    proven: events.AnswerProven | None = None
    position: Position = field(default_factory=Position)
    observers: Sequence[keras.callbacks.Callback] = ()


def train(job: WorkerJob, channel: Channel) -> Reason | Pause:
    """Builds, fits, tests and saves; returns why training ended."""
    spec, rank = job.spec, job.rank
    injector = fault_injection.Injector(
        fault_injection.from_environment(os.environ), root=job.paths.root, rank=rank, group=job.group
    )
    _phase(channel, rank, "tensorflow")
    injector.take_port(own_address())
    strategy = join(gpus_per_worker=spec.scaling.gpus_per_worker)
    release_port()
    mend(rank=rank)
    keras.utils.set_random_seed(spec.fit.seed)
    set_number_formats(spec.fit)
    feeds = make_feeds(spec, job.splits, rank=rank, workers=strategy.num_replicas_in_sync)
    snapshot = newest_checkpoint(job.paths, channel, strategy, rank=rank, steps_per_epoch=feeds["train"].num_batches)
    tell = _chief_tells(channel, rank)
    tell(choose(strategy, spec.scaling.collectives, within_s=spec.watchdog.setup / 2))
    fresh = tell if snapshot is None else None
    model = build_model(spec, job.folder, strategy, base_model=job.base_model, tell=fresh)
    adapt_layers(model, spec, feeds["train"].all_rows, strategy)
    notice = _chief_notice(channel, rank)
    declared = keras_objects.callbacks(spec.callbacks, job.folder)
    compiled = CompileState(model, declared, defined_in(job.folder))
    changes = snapshot.state.get("compiled") if snapshot else None
    if changes is not None:
        compiled.restore(changes, strategy)
    set_steps_per_execution(model, spec, feeds, wants_batches=act_on_batches(declared))
    fall_backs = FallBacks(count=job.fall_backs, factor=spec.divergence.learning_rate_factor)
    fall_backs.lower_schedules(model, declared)

    told_of: list[keras.layers.Layer] = []

    def tell_of_plain() -> None:
        if not told_of and not spec.fit.sync_batch_norm:
            told_of.extend(tell_of_plain_layers(model, workers=strategy.num_replicas_in_sync, notice=notice))

    def before_tracing() -> None:
        fall_backs.lower_new(model)
        tell_of_plain()

    use_own_steps(model, strategy, feeds, notice, before_tracing, always_pooled=act_on_batches(declared))
    with contextlib.ExitStack() as ending:
        hooks = make_hooks(
            spec,
            feeds["train"],
            channel,
            strategy,
            rank=rank,
            callbacks=for_rank(declared, rank=rank, notice=notice),
            declared=declared,
            writer=_writer(job, channel, injector, ending),
            snapshot=snapshot,
            fall_backs=fall_backs,
            compiled=compiled,
            position=job.position,
            injector=injector,
        )
        with synchronized() if spec.fit.sync_batch_norm else contextlib.nullcontext():
            _build(model, strategy, feeds["train"])
            tell_of_plain()
            _announce_model(model, job, channel)
            prove_if_needed(model, spec, strategy, feeds, tell, folder=job.folder, proven=job.proven)
            if snapshot is not None and rank == 0:
                go_on_after(declared, snapshot.epoch)
            if snapshot is not None:
                _make_what_a_step_makes(model, feeds["train"], snapshot)
            if changes is not None:
                compiled.unfreeze(changes)
            reason = _fit(model, spec, feeds, hooks, snapshot, job.observers)
        fall_backs.give_schedules_back(model)
        _finish(model, job, feeds, hooks, channel, reason)
    return reason


def _writer(
    job: WorkerJob, channel: Channel, injector: fault_injection.Injector, ending: contextlib.ExitStack
) -> Writer | None:
    """The chief's writer of checkpoints, which is waited for as `ending` ends."""
    if job.rank != 0:
        return None
    writer = Writer(
        job.paths.checkpoints,
        keep=job.spec.checkpoint.keep,
        send=channel.send,
        at=lambda snapshot, point: injector.on_write(snapshot.epoch + 1, snapshot.step, point),
        publish=lambda path: publish_checkpoint(job.paths, path),
        shown=job.paths.shown,
    )
    ending.callback(writer.close, limit_s=FLUSH_S)
    return writer


def _fit(
    model: keras.Model,
    spec: JobSpec,
    feeds: Mapping[str, Feed],
    hooks: Hooks,
    snapshot: checkpoint.Snapshot | None,
    observers: Sequence[keras.callbacks.Callback],
) -> Reason | Pause:
    """Fits from the snapshot on, or from the start."""
    stopped = snapshot.state["stopped"] if snapshot else None
    first = snapshot.epoch + 1 if snapshot else spec.fit.initial_epoch
    try:
        model.fit(
            feeds["train"],
            validation_data=feeds.get("validation"),
            validation_freq=spec.fit.validation_freq,
            initial_epoch=first,
            epochs=first if stopped else max(spec.fit.epochs, first),
            callbacks=[*hooks.in_order, *observers],
            verbose=0,
        )
    except TrainingLeft:
        hooks.leave(model)
    except TypeError as error:
        refuse_without_train_function(model, error)
        raise
    return Reason(stopped) if stopped else hooks.reporting.reason


def _make_what_a_step_makes(model: keras.Model, feed: Feed, snapshot: checkpoint.Snapshot) -> None:
    """A second optimizer's state, say; a step that is run for it is undone by the values that are put back."""
    make_ready(model)
    model.train_function.traced_with[:] = flags_of(model)
    if hasattr(model.train_function, "trace"):
        model.train_function.trace(feed.example_chunk())
    elif len(deciding(model)) != len(snapshot.variables):
        model.train_function(iter([feed.example_chunk()]))


def _finish(
    model: keras.Model,
    job: WorkerJob,
    feeds: Mapping[str, Feed],
    hooks: Hooks,
    channel: Channel,
    reason: Reason | Pause,
) -> None:
    """Puts the best weights back, evaluates the test rows and saves the model; a stop does not wait for the test."""
    if reason is Reason.DIVERGED or isinstance(reason, Pause):
        return
    rule = job.spec.early_stopping
    best = hooks.reporting.best.arrays
    if rule is not None and rule.restore_best and best is not None:
        model.set_weights(best)
    if "test" in feeds and reason is not Reason.STOPPED_BY_USER:
        metrics = model.evaluate(feeds["test"], return_dict=True, verbose=0, callbacks=[hooks.step_sync])
        if job.rank == 0:
            _tell(channel, events.TestEnd(metrics=scalars(metrics)))
    saved = model_file.save_model(model, job.paths, rank=job.rank, notice=_chief_notice(channel, job.rank))
    if job.rank == 0:
        _tell(channel, events.ModelSaved(path=job.paths.shown(saved)))


def _build(model: keras.Model, strategy: tf.distribute.Strategy, feed: Feed) -> None:
    """Creates every variable before the first step, those of Keras' own random draws among them.

    What a model makes only as it is trained is made by tracing a step.
    """
    with strategy.scope():
        global_seed_generator()
        if not build_if_possible(model, feed.example_batch()) and hasattr(model.train_function, "trace"):
            model.train_function.trace(replace(feed.example_chunk(), share=1.0))


def _announce_model(model: keras.Model, job: WorkerJob, channel: Channel) -> None:
    _phase(channel, job.rank, "model")
    if job.rank != 0:
        return
    trainable = sum(int(variable.shape.num_elements()) for variable in _tensors(model.trainable_variables))
    parameters = sum(int(variable.shape.num_elements()) for variable in _tensors(model.weights))
    _tell(channel, events.ModelBuilt(parameters=parameters, trainable_parameters=trainable))
    notice = _chief_notice(channel, job.rank)
    try:
        model_file.write_summary(model, job.paths.summary)
    except Exception as error:  # noqa: BLE001  no reason not to train, also where the model has a summary of its own
        notice(f"the model's summary could not be kept with the run: {error}")
    try:
        model_file.copy_code(job.folder, job.paths.code)
    except OSError as error:  # no reason either
        notice(f"the code could not be kept with the run: {error}")


def _tensors(variables: list[keras.Variable]) -> list[tf.Variable]:
    return [variable.value for variable in variables]


def _chief_notice(channel: Channel, rank: int) -> Callable[[str], None]:
    """A way to tell the user something once."""
    tell = _chief_tells(channel, rank)
    return lambda text: tell(events.Warned(message=text))


def _chief_tells(channel: Channel, rank: int) -> Callable[[events.Event], None]:
    return lambda event: _tell(channel, event) if rank == 0 else None


def _tell(channel: Channel, event: events.Event) -> None:
    """What has happened on the chief."""
    channel.send(protocol.Happened(rank=0, time=time(), event=event))


def _phase(channel: Channel, rank: int, name: str) -> None:
    channel.send(protocol.PhaseDone(rank=rank, time=time(), name=name))
