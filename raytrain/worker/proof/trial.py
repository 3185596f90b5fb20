"""Runs a training or a test step on some rows, as one process would and as the workers do, and leaves no trace.

Runs in: every Train worker, all at once: what is run as one process is run alike by each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from raytrain.data.packed import Arrays, row_count
from raytrain.worker.exact import step_functions
from raytrain.worker.exact.metric_results import metrics_of
from raytrain.worker.exact.moving_averages import StatisticsHook, moving_statistics
from raytrain.worker.exact.replica import run_in_replica
from raytrain.worker.exact.summed_gradients import Taken, behind, taken
from raytrain.worker.feed import Feed
from raytrain.worker.proof.mixing_calls import calls_of_own_layers, mixing_layers
from raytrain.worker.proof.observed import Array, Observed
from raytrain.worker.variables import deciding, differing, local, optimizers_variables

_GRADIENT = "raytrain gradient of "


class CannotTry(Exception):
    """A step cannot be run without a trace; says why."""


class Trial:
    """Steps of one model, each of which begins where the model stands.

    A `tf.function` of the user's becomes a part of the step: it keeps what it was traced with, and these steps are not
    to be found in it later.

    Args:
        step: the name of the model's method, `train_step` or `test_step`.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy, feed: Feed, *, step: str) -> None:
        self._model = model
        self._strategy = strategy
        self._feed = feed
        self._method = getattr(model, step)
        self._watcher = _Watcher()
        self.trace_anew()

    def trace_anew(self) -> None:
        """From now on the workers' steps are traced as `raytrain.worker.exact.ways` says now."""
        self._as_workers = step_functions.make_function(
            self._model, self._method, self._strategy, lambda: None, static_batch=False, watcher=self._watcher
        )

    def make_variables(self, rows: Arrays) -> None:
        """Makes what only a step makes (the state of a second optimizer, say), so that it can be put back, too.

        Raises:
            CannotTry: the model runs its steps eagerly, and each changes what it makes.
        """
        if not hasattr(self._as_workers, "trace"):
            raise CannotTry("its steps are run eagerly")
        with _functions_inlined():
            self._as_workers.trace(self._feed.chunk_of(rows))

    def as_one(self, rows: Arrays, *, from_other_statistics: bool = False) -> Observed:
        """What the step comes to where one process has all the rows.

        Args:
            from_other_statistics: the moving statistics begin at other values than those that they have.
        """
        data = self._feed.tensors(rows)

        def in_replica() -> dict[str, Any]:
            with self._watcher.watching():
                logs = step_functions.flat(self._method(step_functions.as_fed(data)))
            results = step_functions.flat(self._model.get_metrics_result())
            told = results if set(results) == set(logs) else logs  # as Keras chooses
            return {name: tf.identity(value) for name, value in (told | self._watcher.seen()).items()}

        with self._undone(), _functions_inlined():
            if from_other_statistics:
                for variable in moving_statistics(self._model):
                    local(self._strategy, variable).assign_add(tf.ones(variable.shape, variable.dtype))
            return self._observed(run_in_replica(self._strategy, in_replica))

    def as_workers(self, rows: Arrays, *, averaged: bool) -> Observed:
        """What it comes to where each worker has its part of them.

        Args:
            averaged: the moving statistics are made to agree after it, as they are after an epoch.
        """
        statistics = StatisticsHook(
            self._strategy,
            share=self._feed.share,
            rank=self._strategy.cluster_resolver.task_id,
            last_ranks=self._feed.last_ranks,
        )
        statistics.set_model(self._model)
        with self._undone(), _functions_inlined():
            statistics.on_epoch_begin(0)
            logs = self._as_workers(iter([self._feed.chunk_of(rows)]))
            own = {name: value for name, value in logs.items() if not name.startswith(_GRADIENT)}
            results = logs | dict(self._model._get_metrics_result_or_logs(own))
            if averaged:
                statistics.average()
            return self._observed(results)

    @property
    def has_statistics(self) -> bool:
        """Whether there are statistics that layers gather from the rows."""
        return bool(moving_statistics(self._model))

    def mixing_layers(self, rows: Arrays) -> list[keras.Layer]:
        """The user's own layers that make something else of a row when it comes with other rows."""
        data = self._feed.tensors(rows)

        def in_replica() -> list[keras.Layer]:
            with calls_of_own_layers(self._model) as calls:
                self._method(step_functions.as_fed(data))
            return mixing_layers(calls, row_count(rows))

        with self._undone(), _functions_inlined():
            return list(run_in_replica(self._strategy, in_replica))

    def _observed(self, results: Mapping[str, Any]) -> Observed:
        compared = compared_variables(self._model)
        names = {id(behind(variable)): name for name, variable in compared.items()}
        numbers = {name: _numbers(value) for name, value in results.items()}
        gradients = {}
        for key in [name for name in numbers if name.startswith(_GRADIENT)]:
            number, variable = key.removeprefix(_GRADIENT).split()
            name = names.get(int(variable), variable)
            gradients[name if number == "1" else f"{name}, the {number}. time"] = numbers.pop(key)
        values = {name: _numbers(local(self._strategy, variable).read_value()) for name, variable in compared.items()}
        return Observed(gradients=gradients, variables=values, results=numbers)

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Puts every variable back as it was, to the bit; those of metrics begin at nothing."""
        before = self._values()
        for metric in metrics_of(self._model):
            metric.reset_state()
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def _values(self) -> list[tuple[tf.Variable, tf.Tensor]]:
        of_metrics = [variable for metric in metrics_of(self._model) for variable in metric.variables]
        every = [*deciding(self._model), *differing(self._model), *of_metrics]
        mine = {id(variable): local(self._strategy, variable) for variable in every}
        return [(variable, variable.read_value()) for variable in mine.values()]


class _Watcher:
    """Sees what optimizers are handed: which variable's it is stands in the name, and how often it has come."""

    def __init__(self) -> None:
        self._handed: list[Taken] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self._handed = []
        with taken(self._handed):
            yield

    def seen(self) -> dict[str, tf.Tensor]:
        """The gradients, dense."""
        found: dict[str, tf.Tensor] = {}
        times: dict[int, int] = {}
        for each in self._handed:
            if each.gradient is None:
                continue
            key = id(each.variable)
            times[key] = times.get(key, 0) + 1
            found[f"{_GRADIENT}{times[key]} {key}"] = tf.convert_to_tensor(each.gradient)
        return found


def compared_variables(model: keras.Model) -> dict[str, keras.Variable | tf.Variable]:
    """What steps change, but for the optimizers' own: by its path, with a number where several have that path."""
    of_optimizers = {id(variable) for variable in optimizers_variables(model)}
    found: dict[str, keras.Variable | tf.Variable] = {}
    for variable in deciding(model):
        if id(variable) in of_optimizers or not _is_numeric(variable):
            continue
        path = str(getattr(variable, "path", None) or variable.name)
        same = sum(name == path or name.startswith(f"{path} (") for name in found)
        found[f"{path} ({same + 1})" if same else path] = variable
    return found


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _numbers(value: Any) -> Array:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _is_numeric(variable: keras.Variable | tf.Variable) -> bool:
    dtype = tf.as_dtype(variable.dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)
