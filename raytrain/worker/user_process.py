"""What a user's file asks of TensorFlow as if the process were its own: a strategy, threads.

Runs in: every Train worker.
"""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf


class UserStrategy:
    """One replica, as in one process; what is made in its scope belongs to the workers' strategy."""

    num_replicas_in_sync = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def scope(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def give() -> None:
    """Lets the file have what TensorFlow refuses once a worker has joined the others.

    Strategies that need no cluster are stood in for; threads stay as many as the worker has CPUs.
    """
    tf.distribute.MirroredStrategy = UserStrategy
    tf.distribute.OneDeviceStrategy = UserStrategy
    tf.config.threading.set_intra_op_parallelism_threads = lambda num_threads: None
    tf.config.threading.set_inter_op_parallelism_threads = lambda num_threads: None
