"""The functions that run training and test steps: one call runs a chunk of steps without returning to Python.

Runs in: every Train worker.

They take the place of Keras' own `train_function` and `test_function` (attributes that Keras leaves alone when they are
set) and return this worker's own logs. Nothing but the weighted gradients crosses the network in a training step and
nothing at all in a test step; Keras itself asks the metrics for their pooled result when the epoch is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import tensorflow as tf
from keras import tree

from raytrain.worker.exact import (
    current_step,
    gather_rows,
    gradient_reduction,
    metric_results,
    own_compute_loss,
    whole_step,
)
from raytrain.worker.exact.idle_worker import kept_without_rows
from raytrain.worker.exact.metric_pooling import plain_value
from raytrain.worker.exact.metric_results import Logs
from raytrain.worker.exact.replica import run_in_replica
from raytrain.worker.exact.sparse_lookups import SparseLookups, Unmeasured
from raytrain.worker.feed import Chunk
from raytrain.worker.trainable_flags import flags_of, with_flags

Function = Callable[[Iterator[Chunk]], Logs]


class Watcher(Protocol):
    """Sees more of a step than its logs tell."""

    def watching(self) -> contextlib.AbstractContextManager[None]:
        """The step runs, or is traced, within it."""

    def seen(self) -> Logs:
        """What it saw in the step: tensors by names that no log has."""


def make_train_function(
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    prepare: Callable[[], None],
    *,
    static_batch: bool,
    always_pooled: bool = False,
) -> Function:
    """A train function over `Chunk`s.

    Args:
        prepare: makes the model ready for its first step; called before it, once.
        static_batch: fixes the batch's size in the traced step.
        always_pooled: every call returns what all workers' rows come to, for callbacks that act on it.
    """
    several = strategy.num_replicas_in_sync > 1
    return make_function(
        model, model.train_step, strategy, prepare, static_batch=static_batch, always_pooled=always_pooled and several
    )


def make_test_function(
    model: keras.Model, strategy: tf.distribute.Strategy, prepare: Callable[[], None], *, static_batch: bool
) -> Function:
    return make_function(model, model.test_step, strategy, prepare, static_batch=static_batch)


def can_jit(strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA is let compile a step: it has no collectives for the CPU, and those for GPUs are not proven here."""
    return bool(strategy.num_replicas_in_sync == 1)


def make_function(
    model: keras.Model,
    step: Callable[[Any], Logs],
    strategy: tf.distribute.Strategy,
    prepare: Callable[[], None],
    *,
    static_batch: bool,
    always_pooled: bool = False,
    watcher: Watcher | None = None,
) -> Function:
    """A function that runs `step` over `Chunk`s.

    Args:
        watcher: what it sees is returned with the logs.
    """
    # Keras takes the last step's logs for the epoch's when they do not have exactly the metrics' names; these of them
    # are metrics' results.
    taken_as_they_are: dict[str, metric_results.Result] = {}
    is_eager = model.run_eagerly or tf.config.functions_run_eagerly()
    pooled = is_eager and not _is_keras_own(step)  # only in a graph can be seen what is made of a result
    made_more_of = False
    several = strategy.num_replicas_in_sync > 1
    batch_rows = 0

    def trace(specs: Any) -> None:
        with strategy.scope():
            tf.function(one_step).get_concrete_function(specs, tf.TensorSpec([], tf.float32))

    lookups = SparseLookups(trace)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def one_step(data: Any, share: tf.Tensor) -> Any:
        def in_replica(data: Any, share: tf.Tensor) -> Logs:
            nonlocal made_more_of
            rows = tree.flatten(data)[0].shape[0]
            known_rows = batch_rows if static_batch and not is_eager else None
            with (
                current_step.of_share(share, rows=rows, batch_rows=known_rows),
                lookups.in_step(data, batch_rows=batch_rows),
                own_compute_loss.over_all_rows(model),
                whole_step.rows_of_step(model, data) as rows_of_step,
            ):
                with (
                    metric_results.recorded(model, pooled=pooled and current_step.is_shared()) as found,
                    watcher.watching() if watcher else contextlib.nullcontext(),
                ):
                    logs = flat(step(as_fed(rows_of_step)))
                made_more_of |= any(result.is_made_more_of(logs) for result in found)
                if current_step.is_shared() and set(logs) != set(model.get_metrics_result()):
                    of_metrics = {
                        name: result for name, value in logs.items() for result in found if value is result.tensor
                    }
                    taken_as_they_are.update(of_metrics)
                    logs = gradient_reduction.pool_logs(logs, set(logs) - set(of_metrics))
                # Outside of the replica, to read a variable would sum it over the workers in every step.
                beside: Logs = watcher.seen() if watcher else {}
                return {name: plain_value(value) for name, value in (logs | beside).items()}

        logs = run_in_replica(strategy, in_replica, (data, share))
        return dict(logs)

    def returned(logs: Logs, *, is_last: bool) -> Logs:
        if not (always_pooled or is_last):
            return logs
        if taken_as_they_are:
            logs |= metric_results.pooled_anew(taken_as_they_are, strategy)
        return dict(model._get_metrics_result_or_logs(logs)) if always_pooled else logs

    # Keras traces a step once: layers that are frozen or unfrozen later change nothing in it.
    flags: list[bool] = []
    is_ready = False

    def make_ready() -> None:
        nonlocal is_ready
        if not is_ready:
            is_ready = True
            prepare()

    def begin() -> None:
        make_ready()
        if not flags:
            flags.extend(flags_of(model))

    jit_compile = model.jit_compile and can_jit(strategy)
    loops: dict[Any, Callable[..., Logs]] = {}

    def traced(specs: Any) -> Any:
        nonlocal pooled, jit_compile
        function = tf.function(one_step, jit_compile=jit_compile)
        try:
            with strategy.scope(), with_flags(model, flags):
                concrete = function.get_concrete_function(specs, tf.TensorSpec([], tf.float32))
        except Unmeasured:
            lookups.measure()
            return traced(specs)
        found = (pooled or (made_more_of and several), jit_compile and not gather_rows.is_used())
        if found == (pooled, jit_compile):
            return concrete
        pooled, jit_compile = found
        return traced(specs)

    def loop_for(chunk: Chunk) -> Callable[..., Logs]:
        nonlocal batch_rows
        begin()
        batch_rows = chunk.batch_rows
        specs = tree.map_structure(lambda tensor: _step_spec(tensor, static_batch), chunk.data)
        shapes = tuple((spec.shape.as_list().__repr__(), spec.dtype) for spec in tree.flatten(specs))
        key = (batch_rows if static_batch else None, shapes)
        if key not in loops:
            loops[key] = _loop_over(traced(specs), specs)
        return loops[key]

    def run_eagerly(chunk: Chunk) -> Logs:
        nonlocal batch_rows
        batch_rows = chunk.batch_rows
        logs: Logs = {}
        with strategy.scope():
            for step in range(chunk.steps):
                batch = tree.map_structure(lambda tensor, step=step: tensor[step], chunk.data)
                logs = one_step(batch, tf.constant(chunk.share))
        return logs

    def run_loop(chunk: Chunk) -> Logs:
        loop, share = loop_for(chunk), tf.constant(chunk.share)
        with current_step.of_share(share):
            return loop(chunk.data, share)

    def run_chunk(chunk: Chunk) -> Logs:
        begin()
        run = run_eagerly if is_eager else run_loop
        if chunk.share > 0:
            return run(chunk)
        if not is_eager:
            loop_for(chunk)
        with kept_without_rows(model, strategy):
            return run(chunk)

    function = _until_steps(run_chunk, model, strategy, returned)
    if not is_eager:
        function.trace = loop_for  # type: ignore[attr-defined]
    function.make_ready, function.traced_with = make_ready, flags  # type: ignore[attr-defined]
    return function


def _until_steps(
    run_chunk: Callable[[Chunk], Logs],
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    returned: Callable[..., Logs],
) -> Function:
    """One call of the function runs `steps_per_execution` steps, or what is left of the epoch."""

    def function(chunks: Iterator[Chunk]) -> Logs:
        item: Any = next(chunks)
        logs, steps = {}, 0
        while item is not None:
            chunk = item if isinstance(item, Chunk) else _chunk_of_all_rows(item, strategy)
            logs, steps = run_chunk(chunk), steps + chunk.steps
            item = next(chunks, None) if steps < model.steps_per_execution else None
        return returned(logs, is_last=chunk.is_last)

    return function


def _is_keras_own(step: Callable[[Any], Logs]) -> bool:
    return getattr(step, "__func__", None) in (keras.Model.train_step, keras.Model.test_step)


def as_fed(data: Any) -> Any:
    """Rows without labels as Keras hands them to a step: not in a tuple."""
    return data[0] if isinstance(data, tuple) and len(data) == 1 else data


def flat(logs: Logs) -> Logs:
    """A step's logs without dicts among them, such as the result of all compiled metrics; Keras flattens them later."""
    if not any(isinstance(value, dict) for value in logs.values()):
        return logs
    found: Logs = {}
    for name, value in sorted(logs.items()):
        found.update(flat(value) if isinstance(value, dict) else {name: value})
    return found


def _chunk_of_all_rows(batch: Any, strategy: tf.distribute.Strategy) -> Chunk:
    """A batch that a callback, say, gives to `evaluate` itself: every worker has all of it, so one counts."""
    data = tree.map_structure(lambda tensor: tensor[None], batch)
    rows = tree.flatten(data)[0].shape[1]
    return Chunk(data=data, steps=1, batch_rows=rows, share=1.0 if strategy.cluster_resolver.task_id == 0 else 0.0)


def _step_spec(tensor: tf.Tensor, static_batch: bool) -> tf.TensorSpec:
    """The spec of one step's batch, given a chunk's tensor (steps, per_worker_batch, …)."""
    batch = tensor.shape[1:2] if static_batch else [None]
    return tf.TensorSpec([*batch, *tensor.shape[2:]], tensor.dtype)


def _loop_over(one_step: Any, specs: Any) -> Callable[..., Logs]:
    """A function that runs an already traced step over a chunk's first axis; the logs are those of the last step."""
    chunk_specs = tree.map_structure(lambda spec: tf.TensorSpec([None, *spec.shape], spec.dtype), specs)
    empty_logs = tree.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), one_step.structured_outputs)

    @tf.function(input_signature=[chunk_specs, tf.TensorSpec([], tf.float32)])  # type: ignore[untyped-decorator]
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def run_steps(data: Any, share: tf.Tensor) -> Logs:
        steps = tf.shape(tree.flatten(data)[0])[0]

        def body(i: tf.Tensor, logs: Logs) -> tuple[tf.Tensor, Logs]:
            batch = tree.map_structure(lambda tensor: tensor[i], data)
            return i + 1, one_step(batch, share)

        _, logs = tf.while_loop(lambda i, logs: i < steps, body, (tf.constant(0), empty_logs), parallel_iterations=1)
        return logs  # type: ignore[no-any-return]

    return run_steps  # type: ignore[no-any-return]
