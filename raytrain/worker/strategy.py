"""Joins this process to the others under MultiWorkerMirroredStrategy, one replica a process.

Runs in: every Train worker, after `raytrain.worker.process_setup` has set the process up.
"""

from __future__ import annotations

import functools
import os

import keras
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

from raytrain.errors import Problem, UserCodeError

ALLOW_MISSING_GPUS = "RAYTRAIN_ALLOW_MISSING_GPUS"
_HEARTBEAT_TIMEOUT_MS = 24 * 3600 * 1000


def check_backend() -> None:
    """Refuses a Keras that does not run on TensorFlow.

    Raises:
        UserCodeError: the Keras backend is another one.
    """
    if keras.backend.backend() != "tensorflow":
        raise UserCodeError(
            Problem(
                got=f"the Keras backend {keras.backend.backend()}",
                expected="the TensorFlow backend",
                fix="take KERAS_BACKEND out of environment.env_vars and of the cluster's environment",
            )
        )


def check_gpus(*, asked: float) -> None:
    """Refuses to train on the CPU when the job asked for a GPU, and keeps TensorFlow from taking all of its memory.

    Raises:
        UserCodeError: fewer GPUs are visible to TensorFlow than the worker was promised.
    """
    visible = see_gpus()
    allowed = os.environ.get(ALLOW_MISSING_GPUS, "") not in ("", "0")
    if asked > len(visible) and not allowed:
        raise UserCodeError(
            Problem(
                field="scaling.gpus_per_worker",
                got=f"asked for {asked:g} GPU, TensorFlow sees {len(visible)}",
                expected="every GPU that Ray promised to be visible to TensorFlow",
                fix="check the driver and tensorflow[and-cuda] on the node, or set scaling.gpus_per_worker: 0",
            )
        )


def see_gpus() -> list[tf.config.PhysicalDevice]:
    """This process's GPUs, of whose memory TensorFlow is to take what it needs instead of all."""
    visible: list[tf.config.PhysicalDevice] = tf.config.list_physical_devices("GPU")
    for gpu in visible:
        tf.config.experimental.set_memory_growth(gpu, True)
    return visible


def make_strategy(
    options: tf.distribute.experimental.CommunicationOptions | None = None,
) -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy of one replica a process.

    There is nothing to merge then: variables are updated where they are. TensorFlow's own tests switch merging off the
    same way. It is what lets optimizers update variables within a condition (moving averages of weights, gradient
    accumulation).
    """
    strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    strategy.extended._use_merge_call = lambda: False
    return strategy


@functools.cache
def join(*, gpus_per_worker: float) -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy over all workers that TF_CONFIG names; returns when every one of them has joined.

    A process joins once: TensorFlow cannot leave a cluster and join another.
    """
    check_backend()
    check_gpus(asked=gpus_per_worker)
    _leave_hangs_to_the_watchdog()
    return make_strategy()


def _leave_hangs_to_the_watchdog() -> None:
    """Keeps TensorFlow from giving a process up that is silent for ten seconds, as one that swaps or migrates may be.

    It would abort every rank's collectives before the watchdog's limit, which is the user's to set, and before the
    stacks could be saved. A process or node that is gone is noticed by Ray. The strategy configures the service with
    ten seconds only where nobody has before it.
    """
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    workers = resolver.cluster_spec().num_tasks("worker")
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=_HEARTBEAT_TIMEOUT_MS,
        coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=workers)],
    )


def sum_over_workers(strategy: tf.distribute.Strategy, values: list[float]) -> list[float]:
    """The elementwise sum of every worker's `values`; every worker must call it, with as many values."""
    return sum_vector(strategy, tf.constant(values, tf.float32)).numpy().tolist()  # type: ignore[no-any-return]


def sum_vector(strategy: tf.distribute.Strategy, vector: tf.Tensor) -> tf.Tensor:
    """The elementwise sum of every worker's `vector`, of one shape and dtype; every worker must call it."""
    return _summing(strategy, vector.dtype)(vector)


@functools.cache
def _summing(strategy: tf.distribute.Strategy, dtype: tf.DType) -> tf.types.experimental.PolymorphicFunction:
    """As a graph, for vectors of any size: run eagerly, `reduce` takes three times as long."""

    @tf.function(input_signature=[tf.TensorSpec([None], dtype)], autograph=False)  # type: ignore[untyped-decorator]
    def total(vector: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, vector, axis=None)

    return total
