"""Runs a step as the strategy's replica, with what Keras keeps by thread.

Runs in: every Train worker.

TensorFlow runs a replica in a thread of its own. Keras keeps by thread the generator behind draws without a seed
(`keras.random.normal(shape)`), the dtype policy and its scopes, and would begin anew with each in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras.src.backend.common import global_state


def run_in_replica(strategy: tf.distribute.Strategy, function: Callable[..., Any], args: tuple[Any, ...] = ()) -> Any:
    """What `function` returns of `args`, run as `strategy.run` does."""
    kept = dict(vars(global_state.GLOBAL_STATE_TRACKER))

    def as_this_thread(*args: Any) -> Any:
        for name, value in kept.items():
            if global_state.get_global_attribute(name) is None:
                global_state.set_global_attribute(name, value)
        return function(*args)

    return strategy.run(as_this_thread, args=args)
