"""The functions that run training and test steps: one call runs a chunk of steps without returning to Python.

Runs in: every Train worker.

They take the place of Keras' own `train_function` and `test_function` (attributes that Keras leaves alone when they are
set) and return this worker's own logs. Nothing but the weighted gradients crosses the network in a training step and
nothing at all in a test step; Keras itself asks the metrics for their pooled result when the epoch is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from raytrain.worker.exact import current_step, gradient_reduction, metric_results, whole_batch
from raytrain.worker.exact.batch_normalization import synchronized_layers
from raytrain.worker.exact.metric_pooling import is_alike, plain_value
from raytrain.worker.exact.metric_results import Logs
from raytrain.worker.exact.moving_averages import moving_statistics
from raytrain.worker.feed import Chunk
from raytrain.worker.trainable_flags import flags_of, with_flags

Function = Callable[[Iterator[Chunk]], Logs]


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
    return _make_function(
        model, model.train_step, strategy, prepare, static_batch=static_batch, always_pooled=always_pooled and several
    )


def make_test_function(
    model: keras.Model, strategy: tf.distribute.Strategy, prepare: Callable[[], None], *, static_batch: bool
) -> Function:
    return _make_function(model, model.test_step, strategy, prepare, static_batch=static_batch)


def can_jit(strategy: tf.distribute.Strategy) -> bool:
    """Whether XLA can compile a step: for the CPU it has no collectives, so there a lone worker can."""
    return strategy.num_replicas_in_sync == 1 or bool(tf.config.list_physical_devices("GPU"))


def _make_function(
    model: keras.Model,
    step: Callable[[Any], Logs],
    strategy: tf.distribute.Strategy,
    prepare: Callable[[], None],
    *,
    static_batch: bool,
    always_pooled: bool = False,
) -> Function:
    # Keras takes the last step's logs for the epoch's when they do not have exactly the metrics' names; these of them
    # are metrics' results.
    taken_as_they_are: dict[str, metric_results.Result] = {}
    is_eager = model.run_eagerly or tf.config.functions_run_eagerly()
    pooled = is_eager and not _is_keras_own(step)  # only in a graph can be seen what is made of a result
    made_more_of = False
    several = strategy.num_replicas_in_sync > 1
    batch_rows: int | None = None

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def one_step(data: Any, share: tf.Tensor) -> Any:
        def in_replica(data: Any, share: tf.Tensor) -> Logs:
            nonlocal made_more_of
            with current_step.of_share(share, rows=tree.flatten(data)[0].shape[0], batch_rows=batch_rows):
                with metric_results.recorded(model, pooled=pooled and current_step.is_shared()) as found:
                    logs = _flat(step(_as_fed(data)))
                made_more_of |= any(result.is_made_more_of(logs) for result in found)
                if current_step.is_shared() and set(logs) != set(model.get_metrics_result()):
                    of_metrics = {
                        name: result for name, value in logs.items() for result in found if value is result.tensor
                    }
                    taken_as_they_are.update(of_metrics)
                    logs = gradient_reduction.pool_logs(logs, set(logs) - set(of_metrics))
                # Outside of the replica, to read a variable would sum it over the workers in every step.
                return {name: plain_value(value) for name, value in logs.items()}

        logs = strategy.run(in_replica, args=(data, share))
        return dict(logs)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def idle_step(data: Any, share: tf.Tensor) -> Any:
        kept = [(variable, local, local.read_value()) for variable, local in _untrained_locals(model, strategy)]
        with tf.control_dependencies([value for _, _, value in kept]):
            logs = one_step(data, share)
        for variable, local, value in kept:
            if not is_alike(variable):  # metrics that every worker computes of all rows: the step tells which
                local.assign(value)
        return logs

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

    if is_eager:
        run_eagerly = _eager_chunk(one_step, idle_step)

        def run_ready(chunk: Chunk) -> Logs:
            begin()
            with strategy.scope():
                return run_eagerly(chunk)

        function = _until_steps(run_ready, model, strategy, returned)
        function.make_ready, function.traced_with = make_ready, flags  # type: ignore[attr-defined]
        return function
    jit_compile = model.jit_compile and can_jit(strategy)
    loops: dict[Any, Callable[..., Logs]] = {}

    def traced(specs: Any, *, is_idle: bool) -> Any:
        nonlocal pooled, jit_compile
        function = tf.function(idle_step if is_idle else one_step, jit_compile=jit_compile)
        with strategy.scope(), with_flags(model, flags):
            concrete = function.get_concrete_function(specs, tf.TensorSpec([], tf.float32))
        found = (pooled or (made_more_of and several), jit_compile and not whole_batch.is_used())
        if found == (pooled, jit_compile):
            return concrete
        pooled, jit_compile = found
        return traced(specs, is_idle=is_idle)

    def loop_for(chunk: Chunk) -> Callable[..., Logs]:
        nonlocal batch_rows
        begin()
        batch_rows = chunk.batch_rows if static_batch else None
        specs = tree.map_structure(lambda tensor: _step_spec(tensor, static_batch), chunk.data)
        shapes = tuple((spec.shape.as_list().__repr__(), spec.dtype) for spec in tree.flatten(specs))
        key = (chunk.share == 0, batch_rows, shapes)
        if key not in loops:
            loops[key] = _loop_over(traced(specs, is_idle=chunk.share == 0), specs)
        return loops[key]

    def run_chunk(chunk: Chunk) -> Logs:
        loop, share = loop_for(chunk), tf.constant(chunk.share)
        with current_step.of_share(share):
            return loop(chunk.data, share)

    function = _until_steps(run_chunk, model, strategy, returned)
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


def _as_fed(data: Any) -> Any:
    """Rows without labels as Keras hands them to a step: not in a tuple."""
    return data[0] if isinstance(data, tuple) and len(data) == 1 else data


def _flat(logs: Logs) -> Logs:
    """A step's logs without dicts among them, such as the result of all compiled metrics; Keras flattens them later."""
    if not any(isinstance(value, dict) for value in logs.values()):
        return logs
    flat: Logs = {}
    for name, value in sorted(logs.items()):
        flat.update(_flat(value) if isinstance(value, dict) else {name: value})
    return flat


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


def _eager_chunk(one_step: Callable[..., Logs], idle_step: Callable[..., Logs]) -> Callable[[Chunk], Logs]:
    def run_chunk(chunk: Chunk) -> Logs:
        run = idle_step if chunk.share == 0 else one_step
        logs: Logs = {}
        for step in range(chunk.steps):
            logs = run(tree.map_structure(lambda tensor, step=step: tensor[step], chunk.data), tf.constant(chunk.share))
        return logs

    return run_chunk


def _untrained_locals(model: keras.Model, strategy: tf.distribute.Strategy) -> list[tuple[keras.Variable, tf.Variable]]:
    """This process' own copies of what a step changes by this worker's rows: metrics and moving statistics.

    The statistics of synchronised BatchNormalization are not among them, since they come from all workers' rows; nor
    is what goes on alike on every worker, whatever its rows: counters, the states of random draws, and the variables of
    layers that are not trained, which follow those that are.
    """
    shared = {id(variable) for layer in synchronized_layers(model) for variable in layer.non_trainable_variables}
    variables = {id(variable): variable for variable in [*moving_statistics(model), *model.metrics_variables]}
    return [
        (variable, local)
        for key, variable in variables.items()
        if key not in shared
        for local in strategy.experimental_local_results(variable.value)
    ]
