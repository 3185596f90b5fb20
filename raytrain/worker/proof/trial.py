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

from raytrain.data.packed import Arrays
from raytrain.worker.exact import step_functions
from raytrain.worker.exact.summed_gradients import Taken, behind, taken
from raytrain.worker.feed import Feed
from raytrain.worker.proof.observed import Array, Observed
from raytrain.worker.variables import deciding, differing, local, optimizers

_GRADIENT = "raytrain gradient of "


class Trial:
    """Steps of one model, each of which begins where the model stands.

    Args:
        step: the name of the model's method, `train_step` or `test_step`.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy, feed: Feed, *, step: str) -> None:
        self._model = model
        self._strategy = strategy
        self._feed = feed
        self._method = getattr(model, step)
        of_optimizers = {id(variable) for each in optimizers(model) for variable in each.variables}
        self._variables = {
            id(behind(variable)): variable
            for variable in deciding(model)
            if id(variable) not in of_optimizers and _is_numeric(variable)
        }
        self._names = _unique(self._variables)
        self._as_workers = step_functions.make_function(
            model, self._method, strategy, lambda: None, static_batch=False, watcher=_Watcher(self._names)
        )

    def as_one(self, rows: Arrays) -> Observed:
        """What the step comes to where one process has all the rows."""
        data, watcher = self._feed.tensors(rows), _Watcher(self._names)

        def in_replica() -> dict[str, Any]:
            with watcher.watching():
                logs = step_functions.flat(self._method(step_functions.as_fed(data)))
            results = step_functions.flat(self._model.get_metrics_result())
            told = results if set(results) == set(logs) else logs  # as Keras chooses
            return {name: tf.identity(value) for name, value in (told | watcher.seen()).items()}

        with self._undone():
            return self._observed(self._strategy.run(in_replica))

    def as_workers(self, rows: Arrays) -> Observed:
        """What it comes to where each worker has its part of them."""
        with self._undone():
            logs = self._as_workers(iter([self._feed.chunk_of(rows)]))
            own = {name: value for name, value in logs.items() if not name.startswith(_GRADIENT)}
            return self._observed(logs | dict(self._model._get_metrics_result_or_logs(own)))

    def _observed(self, results: Mapping[str, Any]) -> Observed:
        values = {
            self._names[key]: _numbers(local(self._strategy, variable).read_value())
            for key, variable in self._variables.items()
        }
        numbers = {name: _numbers(value) for name, value in results.items()}
        return Observed(
            gradients={
                name.removeprefix(_GRADIENT): each for name, each in numbers.items() if name.startswith(_GRADIENT)
            },
            variables=values,
            results={name: each for name, each in numbers.items() if not name.startswith(_GRADIENT)},
        )

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Puts every variable back as it was, to the bit; those of metrics begin at nothing."""
        before = self._values()
        for metric in self._model.metrics:
            metric.reset_state()
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def _values(self) -> list[tuple[tf.Variable, tf.Tensor]]:
        every = [*deciding(self._model), *differing(self._model)]
        mine = {id(variable): local(self._strategy, variable) for variable in every}
        return [(variable, variable.read_value()) for variable in mine.values()]


class _Watcher:
    """Sees what optimizers are handed, by the names of their variables."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self._handed: list[Taken] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self._handed = []
        with taken(self._handed):
            yield

    def seen(self) -> dict[str, tf.Tensor]:
        """Dense gradients; of one that was handed several times, their number stands behind the name."""
        found: dict[str, tf.Tensor] = {}
        times: dict[str, int] = {}
        for each in self._handed:
            name = self._names.get(id(each.variable))
            if name is None or each.gradient is None:
                continue
            times[name] = times.get(name, 0) + 1
            number = f" ({times[name]})" if times[name] > 1 else ""
            found[_GRADIENT + name + number] = tf.convert_to_tensor(each.gradient)
        return found


def _unique(variables: Mapping[int, keras.Variable | tf.Variable]) -> dict[int, str]:
    """A name for each: its path, with a number behind it where several have that path."""
    seen: dict[str, int] = {}
    names = {}
    for key, variable in variables.items():
        path = str(getattr(variable, "path", None) or variable.name)
        seen[path] = seen.get(path, 0) + 1
        names[key] = path if seen[path] == 1 else f"{path} ({seen[path]})"
    return names


def _numbers(value: Any) -> Array:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _is_numeric(variable: keras.Variable | tf.Variable) -> bool:
    dtype = tf.as_dtype(variable.dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)
