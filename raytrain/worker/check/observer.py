"""Watches a training of a few steps: what optimizers are handed, what the variables become, what Keras tells of it.

Runs in: plain Keras' process of a check, and its workers. It changes nothing, but for what is set aside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from raytrain.worker.check.phase_file import Progress
from raytrain.worker.check.trained import Trained, digest
from raytrain.worker.exact.summed_gradients import Taken, behind, taken
from raytrain.worker.proof.answer import allowed_for
from raytrain.worker.proof.observed import Array
from raytrain.worker.proof.set_aside import set_aside
from raytrain.worker.proof.trial import compared_variables
from raytrain.worker.reporting_hook import scalars
from raytrain.worker.variables import local


class Observer(keras.callbacks.Callback):  # type: ignore[misc]
    """Stands last among the callbacks; `trained` is whole once the block that it is entered for has ended.

    Args:
        disturbed: every weight begins as the number next to it, so that what rounding makes of the training is seen.

    Random draws and plain BatchNormalization are set aside from the beginning of `fit` to the end of that block.
    """

    def __init__(self, strategy: tf.distribute.Strategy, progress: Progress, *, disturbed: bool = False) -> None:
        super().__init__()
        self._disturbed = disturbed
        self.trained = Trained()
        self._strategy = strategy
        self._progress = progress
        self._handed = _Handed()
        self._ending = contextlib.ExitStack()
        self._aside: set[str] = set()

    def __enter__(self) -> Observer:
        self._ending.enter_context(taken(self._handed))
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()
        self.trained.set_aside = tuple(self._aside)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.trained.allowed = allowed_for(self.model)
        if self._disturbed:
            _disturb(self.model.trainable_variables)
        self.trained.before = self._digests()
        self._handed.forget()
        self._aside = self._ending.enter_context(set_aside(self.model))
        self.model.jit_compile = False  # XLA would not let the gradients be looked at
        self.model.make_train_function(force=True)  # one that was traced to make the variables draws at random
        self._progress.reach("tracing the first step")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.trained.steps = batch + 1
        self._progress.reach(f"training, after step {batch + 1}")

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._progress.reach(f"evaluating, after step {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.tell(scalars(logs or {}))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.trained.after = self._digests()
        names = {id(behind(variable)): name for name, variable in compared_variables(self.model).items()}
        for variable, digests in self._handed.seen():
            name = names.get(id(variable), str(getattr(variable, "path", variable.name)))
            self.trained.gradients[name] = digests
        self._progress.reach("finishing")

    def tell(self, results: Mapping[str, float | None], *, prefix: str = "") -> None:
        """Metrics and losses that came out."""
        for name, value in results.items():
            if name != "learning_rate":
                self.trained.results[f"{prefix}{name}"] = np.asarray(np.nan if value is None else value)

    def _digests(self) -> dict[str, Array]:
        return {
            name: digest(local(self._strategy, behind(variable)).read_value())
            for name, variable in compared_variables(self.model).items()
        }


def _disturb(variables: list[keras.Variable]) -> None:
    """Moves each number to the next one that there is, up or down."""
    draws = np.random.default_rng(0)
    for variable in variables:
        value = np.asarray(variable.value)
        if value.dtype.kind == "f":
            variable.assign(np.nextafter(value, draws.choice(np.array([-np.inf, np.inf], value.dtype), value.shape)))


class _Handed(list[Taken]):
    """Where a step that is traced, or run eagerly, leaves what its optimizers are handed; each run of it is noted."""

    def __init__(self) -> None:
        super().__init__()
        self._variables: dict[int, tf.Variable] = {}
        self._digests: dict[int, list[Array]] = {}

    def extend(self, handed: Iterable[Taken]) -> None:
        for each in handed:
            if each.gradient is not None:
                self._note(each.variable, tf.convert_to_tensor(each.gradient))

    def forget(self) -> None:
        """What was noted so far was not of the training."""
        self._digests.clear()

    def seen(self) -> list[tuple[tf.Variable, list[Array]]]:
        """The digests of each variable's gradients, in the order of the steps."""
        return [(self._variables[key], digests) for key, digests in self._digests.items()]

    def _note(self, variable: tf.Variable, gradient: tf.Tensor) -> None:
        key = id(variable)
        self._variables[key] = variable

        def keep(value: Array) -> None:
            self._digests.setdefault(key, []).append(digest(value))

        tf.numpy_function(keep, [gradient], [])
