"""The places where Keras 3 and MultiWorkerMirroredStrategy do not fit each other, mended for one replica a process.

Runs in: every Train worker, once, after TensorFlow is imported and before the user's model is built.

Keras tests MirroredStrategy only; under MultiWorkerMirroredStrategy its `fit` fails outright (keras#20585, ray#47464),
and where it does not fail it gives the mean of the workers' means instead of the global batch's mean. The shape used
here keeps each step down to one exact collective:

* Every worker feeds itself from its own slice of the global batch, so nothing is distributed by TensorFlow
  (`_LocalEpochIterator`, `_build_from_local_batch`).
* Losses are left as the user wrote them; a gradient by weights is made that of the global mean where a tape gives it
  (`raytrain.worker.exact.summed_gradients`).
* Random draws inside a training step differ between workers, repeatably, and rank 0 draws what one process draws.

Each mend says what it replaces. They can be deleted once Keras' own trainer takes local batches under a multi-worker
strategy and lets the gradient reduction be weighted.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import core as keras_tf_core
from keras.src.backend.tensorflow import nn as keras_tf_nn
from keras.src.backend.tensorflow import optimizer as keras_tf_optimizer
from keras.src.backend.tensorflow import trainer as keras_tf_trainer
from keras.src.losses import loss as keras_loss
from keras.src.ops.operation import Operation
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer
from keras.src.optimizers.multi_optimizer import MultiOptimizer
from keras.src.random.seed_generator import SeedGenerator
from keras.src.trainers.epoch_iterator import EpochIterator
from keras.src.trainers.trainer import Trainer
from tensorflow.python.distribute import values
from tensorflow.python.eager import record

from raytrain.errors import Problem, UserCodeError
from raytrain.worker import user_process
from raytrain.worker.exact import (
    batch_normalization,
    current_step,
    gradient_reduction,
    metric_pooling,
    metric_results,
    mixing_layers,
    own_metrics,
    step_numbers,
    summed_gradients,
    whole_batch,
)
from raytrain.worker.exact.keras_versions import check_versions
from raytrain.worker.exact.patching import mending_classes
from raytrain.worker.feed import Feed

_OPTIMIZER_ARGUMENTS = (
    *("self", "learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm"),
    *("use_ema", "ema_momentum", "ema_overwrite_frequency"),
    *("loss_scale_factor", "gradient_accumulation_steps", "name", "kwargs"),
)
_SEED_STRIDE = 0x9E3779B1 % 2**31


@functools.cache
def mend(*, rank: int) -> None:
    """Applies every mend to this process.

    Raises:
        UserCodeError: Keras or TensorFlow is a version that this was not proven on, or lacks what is leaned on.
    """
    check_versions(keras=keras.__version__, tensorflow=tf.__version__)
    check_anchors()
    _mend_means()
    _mend_trainer()
    _mend_variables()
    user_process.give()
    # `keras.backend.clear_session()` calls it, and the strategy's scope around the user's code would go with the graph.
    tf.compat.v1.reset_default_graph = lambda: None
    SeedGenerator.next = _differ_by_rank(SeedGenerator.next, rank)


def _mend_means() -> None:
    """Everything that is a mean over a batch becomes the mean over the global batch."""
    keras_loss.scale_loss_for_distribution = lambda value: value
    keras_loss.unscale_loss_for_distribution = lambda value: value
    keras_loss.Loss.__call__ = whole_batch.loss_over_batch(keras_loss.Loss.__call__)
    keras_loss.Loss.__init__ = mending_classes("__call__", whole_batch.own_call_over_batch)(keras_loss.Loss.__init__)
    own_updates = mending_classes("update_state", own_metrics.update_over_all_rows)
    keras.metrics.Metric.__init__ = metric_results.known_when_made(own_updates(keras.metrics.Metric.__init__))
    mean_wrapper = keras.metrics.MeanMetricWrapper
    mean_wrapper.update_state = whole_batch.metric_over_batch(mean_wrapper.update_state)
    keras_loss.apply_mask = gradient_reduction.valid_over_workers(keras_loss.apply_mask)
    keras_loss.reduce_values = gradient_reduction.divide_over_workers(keras_loss.reduce_values)
    keras_tf_optimizer.TFOptimizer._all_reduce_sum_gradients = lambda self, grads_and_vars: grads_and_vars
    tf.GradientTape.gradient = summed_gradients.gradient_over_workers(tf.GradientTape.gradient)
    mend_optimizers()
    keras.metrics.Mean.update_state = step_numbers.weigh_numbers(keras.metrics.Mean.update_state)
    keras.metrics.Sum.update_state = step_numbers.add_numbers(keras.metrics.Sum.update_state)
    Operation.__call__ = mixing_layers.call_over_rows(Operation.__call__)
    keras.Layer.__call__ = mixing_layers.regularized_over_rows(keras.Layer.__call__)
    keras_tf_nn._compute_moments_sync = gradient_reduction.moments_over_workers
    batch_norm = keras.layers.BatchNormalization
    batch_norm.call = batch_normalization.call_synchronized(batch_norm.call)
    batch_norm._moments = gradient_reduction.masked_moments_over_workers(batch_norm._moments)


def mend_optimizers() -> None:
    """What an optimizer is handed is summed over the workers, if there are any, and can be seen."""
    for optimizer in (BaseOptimizer, LossScaleOptimizer, MultiOptimizer):
        optimizer.apply = summed_gradients.summed_before_apply(optimizer.apply)
    BaseOptimizer.__init__ = mending_classes("apply", summed_gradients.summed_before_apply)(BaseOptimizer.__init__)
    own_pairs = mending_classes("apply_gradients", summed_gradients.summed_before_apply_gradients)
    BaseOptimizer.__init__ = own_pairs(BaseOptimizer.__init__)


def _mend_trainer() -> None:
    """The trainer takes this worker's own batches and its own values."""
    Trainer._aggregate_additional_loss = gradient_reduction.added_over_rows(Trainer._aggregate_additional_loss)
    keras_tf_trainer.TFEpochIterator = _LocalEpochIterator
    keras_tf_trainer.TensorFlowTrainer._maybe_symbolic_build = _build_from_local_batch
    keras_tf_trainer.reduce_per_replica = _local_value
    Trainer._get_metrics_result_or_logs = metric_pooling.read_together(Trainer._get_metrics_result_or_logs)


def _mend_variables() -> None:
    """A mirrored variable can be used as a plain one is, and to set it sums nothing over the workers."""
    keras_tf_core.Variable._map_aggregation = _update_counters_locally(keras_tf_core.Variable._map_aggregation)
    keras_tf_core.Variable._direct_assign = _assign_without_reading
    for convert in (float, int, bool):  # which callbacks do with learning rates and iterations
        setattr(values.DistributedVariable, f"__{convert.__name__}__", lambda self, to=convert: to(self.numpy()))


def check_anchors() -> None:
    """Refuses a Keras whose insides are not what the mends were written for, by the parameters they rely on."""
    anchors: Sequence[tuple[Callable[..., Any], tuple[str, ...]]] = (
        (keras_loss.scale_loss_for_distribution, ("value",)),
        (keras_loss.unscale_loss_for_distribution, ("value",)),
        (
            tf.GradientTape.gradient,
            ("self", "target", "sources", "output_gradients", "unconnected_gradients"),
        ),
        (keras_loss.Loss.__call__, ("self", "y_true", "y_pred", "sample_weight")),
        (keras.metrics.MeanMetricWrapper.update_state, ("self", "y_true", "y_pred", "sample_weight")),
        (keras_loss.Loss.__init__, ("self", "name", "reduction", "dtype")),
        (keras.metrics.Metric.__init__, ("self", "dtype", "name")),
        (keras_loss.apply_mask, ("sample_weight", "mask", "dtype", "reduction")),
        (keras_loss.reduce_values, ("values", "sample_weight", "reduction")),
        (keras_tf_nn._compute_moments_sync, ("x", "axes", "keepdims")),
        (keras.layers.BatchNormalization._moments, ("self", "inputs", "mask")),
        (keras.layers.BatchNormalization.call, ("self", "inputs", "training", "mask")),
        (Operation.__call__, ("self", "args", "kwargs")),
        (vars(keras.Layer)["__call__"], ("self", "args", "kwargs")),  # not the one that it inherits
        (keras.metrics.Mean.update_state, ("self", "values", "sample_weight")),
        (keras.metrics.Sum.update_state, ("self", "values", "sample_weight")),
        (keras_tf_optimizer.TFOptimizer._all_reduce_sum_gradients, ("self", "grads_and_vars")),
        (record.could_possibly_record, ()),
        (BaseOptimizer.__init__, _OPTIMIZER_ARGUMENTS),
        (BaseOptimizer.apply, ("self", "grads", "trainable_variables")),
        (LossScaleOptimizer.apply, ("self", "grads", "trainable_variables")),
        (MultiOptimizer.apply, ("self", "grads", "trainable_variables")),
        (keras_tf_trainer.TFEpochIterator.__init__, ("self", "distribute_strategy", "args", "kwargs")),
        (keras_tf_trainer.TensorFlowTrainer._maybe_symbolic_build, ("self", "iterator", "data_batch")),
        (keras_tf_trainer.reduce_per_replica, ("values", "strategy", "reduction")),
        (keras_tf_core.Variable._map_aggregation, ("self", "aggregation")),
        (SeedGenerator.next, ("self", "ordered")),
        (EpochIterator._enumerate_iterator, ("self",)),
        (keras_tf_core.Variable._direct_assign, ("self", "value")),
        (Trainer._get_metrics_result_or_logs, ("self", "logs")),
        (Trainer._aggregate_additional_loss, ("self", "loss")),
    )
    for function, expected in anchors:
        got = tuple(inspect.signature(function).parameters)
        if got != expected:
            raise UserCodeError(
                Problem(
                    got=f"keras {keras.__version__} with {function.__qualname__}{got}",
                    expected=f"{function.__qualname__}{expected}",
                    fix="use a Keras that raytrain was proven on",
                )
            )


class _LocalEpochIterator(EpochIterator):  # type: ignore[misc]
    """Replaces `TFEpochIterator`, which hands the dataset to the strategy to be split again."""

    def __init__(self, distribute_strategy: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adapter = self.data_adapter
        self._dataset = adapter if isinstance(adapter, Feed) else adapter.get_tf_dataset()

    def _get_iterator(self) -> Any:
        return self._dataset

    def _enumerate_iterator(self) -> Iterator[tuple[int, int, Any]]:
        """As Keras' own; of a feed, a call's steps are those of its chunks, and the epoch may begin after some."""
        if not isinstance(self._dataset, Feed):
            yield from super()._enumerate_iterator()
            return
        step, chunks = self._dataset.first_step, iter(self._dataset)
        for chunk in chunks:
            steps = max(chunk.steps, self.steps_per_execution)
            yield step, step + steps - 1, itertools.chain([chunk], chunks)
            step += steps

    def __next__(self) -> Any:
        return next(self._epoch_iterator)

    @contextlib.contextmanager
    def catch_stop_iteration(self) -> Iterator[None]:
        with super().catch_stop_iteration():
            try:
                yield
            except tf.errors.OutOfRangeError as end:
                raise StopIteration from end


def _build_from_local_batch(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
    """Replaces `_maybe_symbolic_build`, which reduces a batch over the workers to learn its shapes."""
    if self._distribute_strategy is None:
        return
    if iterator is not None and isinstance(iterator.data_adapter, Feed):
        data_batch = iterator.data_adapter.example_batch()
    elif iterator is not None:
        data_batch = next(iter(iterator.data_adapter.get_tf_dataset()))
    with self._distribute_strategy.scope():
        build_if_possible(self, data_batch)


def build_if_possible(model: keras.Model, data_batch: Any) -> bool:
    """Makes a model's variables, and its optimizer's, by calling it symbolically on a batch.

    Returns:
        Whether it could be: a model with a `train_step` of its own need not have a `call`, nor one that takes a batch.
    """
    try:
        model._symbolic_build(data_batch=data_batch)
    except Exception:
        if type(model).train_step is keras.Model.train_step:
            raise
        return False
    return True


def _local_value(values: Any, strategy: Any, reduction: str) -> Any:
    """Replaces `reduce_per_replica`: with one replica a process, this process' value is the value."""
    return values


def _assign_without_reading(self: Any, value: Any) -> None:
    """Replaces `Variable._direct_assign`, which has TensorFlow return the new value, and so sum a metric's state."""
    self._value.assign(tf.cast(value, self._value.dtype), read_value=False)


def _update_counters_locally(map_aggregation: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Variable._map_aggregation`: optimizers' counters, equal on all workers, are not broadcast by the first.

    The broadcast would switch to the cross-replica context, which is not possible within a condition (loss scaling).
    """

    @functools.wraps(map_aggregation)
    def without_first_replica(self: Any, aggregation: str) -> Any:
        return map_aggregation(self, "none" if aggregation == "only_first_replica" else aggregation)

    return without_first_replica


def _differ_by_rank(draw: Callable[..., Any], rank: int) -> Callable[..., Any]:
    """Wraps `SeedGenerator.next`: inside a training step, every rank but 0 moves the drawn seed by its own offset."""

    @functools.wraps(draw)
    def draw_for_rank(self: Any, ordered: bool = True) -> Any:
        seed = draw(self, ordered)
        if rank == 0 or not current_step.has_own_rows():
            return seed
        offset = tf.constant([rank * _SEED_STRIDE % 2**31, 0], dtype=tf.int64)
        return seed + tf.cast(offset, seed.dtype)

    return draw_for_rank
