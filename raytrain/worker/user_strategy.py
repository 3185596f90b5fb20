"""A `tf.distribute` strategy that the user's file makes for itself, on a worker that has one already.

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


def stand_in() -> None:
    """Puts it in the place of those that need no cluster, which TensorFlow does not mix with the workers'."""
    tf.distribute.MirroredStrategy = UserStrategy
    tf.distribute.OneDeviceStrategy = UserStrategy
