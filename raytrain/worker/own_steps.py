"""Gives a model raytrain's train and test functions, also where a callback compiles it anew while training.

Runs in: every Train worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError
from raytrain.worker.exact import step_functions
from raytrain.worker.exact.adopt_variables import adopt_variables
from raytrain.worker.exact.keras_patches import build_if_possible
from raytrain.worker.feed import Feed


def use_own_steps(
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    feeds: Mapping[str, Feed],
    notice: Callable[[str], None],
    before_tracing: Callable[[], None],
    *,
    always_pooled: bool,
) -> None:
    """Sets the functions, and how new ones are made.

    Args:
        before_tracing: called before a function's first step, when the model holds what it is to be trained with.
    """
    if model.jit_compile and not step_functions.can_jit(strategy):
        notice("jit_compile is left out: XLA is not proven to compile what workers exchange")
    tested = [feed for split, feed in feeds.items() if split != "train"]
    steps_per_execution = model.steps_per_execution

    def prepare() -> None:
        adopt_variables(model, strategy)
        with strategy.scope():
            build_if_possible(model, feeds["train"].example_batch())
        adopt_variables(model, strategy)  # and what the metrics of a compilation hold, which is known once it is built
        before_tracing()

    def make_train_function(force: bool = False) -> step_functions.Function:
        if model.train_function is None or force:
            _check_steps_per_execution(model, steps_per_execution)
            model.train_function = step_functions.make_train_function(
                model, strategy, prepare, static_batch=not feeds["train"].has_partial_batch, always_pooled=always_pooled
            )
        return model.train_function  # type: ignore[no-any-return]

    def make_test_function(force: bool = False) -> step_functions.Function:
        if model.test_function is None or force:
            model.test_function = step_functions.make_test_function(
                model, strategy, prepare, static_batch=not any(feed.has_partial_batch for feed in tested)
            )
        return model.test_function  # type: ignore[no-any-return]

    # Keras, and callbacks that want a step traced anew, ask for them by these names.
    model.make_train_function, model.make_test_function = make_train_function, make_test_function
    make_train_function(force=True)
    make_test_function(force=True)


def make_ready(model: keras.Model) -> None:
    """Makes what the next step needs, where it has been compiled anew since the last; every worker must call it."""
    ready = getattr(model.train_function, "make_ready", None)
    if ready is not None:
        ready()


def refuse_without_train_function(model: keras.Model, error: TypeError) -> None:
    """Says what plain Keras does not: that `compile` took the train function away.

    Raises:
        UserCodeError: that is what the error comes from.
    """
    if model.train_function is not None or str(error) != "'NoneType' object is not callable":
        return
    raise UserCodeError(
        Problem(
            field="callbacks",
            got="a model that was compiled while it was trained, and has no train function since, as in plain Keras",
            expected="a train function that is made anew",
            fix="call self.model.make_train_function(force=True) after self.model.compile(…)",
        )
    ) from error


def _check_steps_per_execution(model: keras.Model, before: int) -> None:
    """Refuses another number in the middle of training: plain Keras leaves batches out then."""
    if model.steps_per_execution != before:
        raise UserCodeError(
            Problem(
                field="callbacks",
                got=f"a model compiled with steps_per_execution={model.steps_per_execution} while it was trained",
                expected=f"{before}, as it was compiled with before",
                fix=f"compile with steps_per_execution={before}",
            )
        )
