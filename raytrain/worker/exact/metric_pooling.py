"""Metrics' states of all workers, summed in one go where Keras asks for results.

Runs in: every Train worker, at an epoch's end.

Each state variable is kept per worker and summed over the network whenever it is read, one sum a variable. Here one
sum has them all, and Keras reads the results from that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from raytrain.worker.strategy import sum_vector
from raytrain.worker.variables import local

_alike: dict[int, keras.Variable] = {}
# States of a metric: those that `add_variable` made, and `keras.Variable`s of the metric's own.
_SUMMED = (
    (tf.VariableSynchronization.ON_READ, tf.VariableAggregation.SUM),
    (tf.VariableSynchronization.ON_WRITE, tf.VariableAggregation.NONE),
)


def read_together(get_results: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Trainer._get_metrics_result_or_logs`, whose first argument is the model; every worker must call it."""

    def with_sums(self: Any, logs: Any) -> Any:
        strategy = self.distribute_strategy
        if strategy is None or strategy.num_replicas_in_sync == 1:
            return get_results(self, logs)
        with over_all_workers(strategy, self.metrics_variables, also_set=self.variables):
            return {name: plain_value(value) for name, value in get_results(self, logs).items()}

    return with_sums


@contextmanager
def over_all_workers(
    strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable], *, also_set: Sequence[keras.Variable] = ()
) -> Iterator[None]:
    """Metrics' variables read as what all workers' come to while the block runs; every worker must come to it.

    Args:
        also_set: those beside them that a result may set.
    """
    scope = keras.StatelessScope(state_mapping=_totals(strategy, variables))
    began = dict(scope.state_mapping)
    with scope:
        yield
    for variable in {id(variable): variable for variable in [*also_set, *variables]}.values():
        now = scope.get_current_value(variable)
        if now is not began.get(id(variable)):
            variable.assign(now)


def is_summed(variable: keras.Variable) -> bool:
    """Whether each worker has its own part of the variable's value, which is their sum."""
    return not is_alike(variable) and _is_kept_by_each(variable)


def keep_alike(variables: Iterable[keras.Variable]) -> None:
    """From now on every worker computes these of all workers' rows: they are no parts of a sum."""
    _alike.update((id(variable), variable) for variable in variables)


def alike() -> list[keras.Variable]:
    """Those that `keep_alike` was told of."""
    return list(_alike.values())


def forget_alike(*, but: Iterable[keras.Variable]) -> None:
    """Takes back what `keep_alike` was told, but for some variables."""
    _alike.clear()
    keep_alike(but)


def is_alike(variable: keras.Variable) -> bool:
    return id(variable) in _alike


def _is_kept_by_each(variable: keras.Variable) -> bool:
    return (variable.value.synchronization, variable.value.aggregation) in _SUMMED


def plain_value(value: Any) -> Any:
    """A tensor where a metric returned a variable for its result, whose value will be another when it is read."""
    return tf.identity(value) if isinstance(value, (keras.Variable, tf.Variable)) else value


def _totals(
    strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable]
) -> list[tuple[keras.Variable, tf.Tensor]]:
    """The variables that each worker keeps for itself, with what they come to over all."""
    by_dtype: dict[tf.DType, dict[int, keras.Variable]] = defaultdict(dict)
    for variable in variables:
        if is_summed(variable):
            by_dtype[variable.value.dtype][id(variable)] = variable
    found = [
        (variable, local(strategy, variable).read_value())
        for variable in variables
        if is_alike(variable) and _is_kept_by_each(variable)
    ]
    for unique in by_dtype.values():
        mine = [local(strategy, variable).read_value() for variable in unique.values()]
        total = sum_vector(strategy, tf.concat([tf.reshape(value, [-1]) for value in mine], axis=0))
        parts = tf.split(total, [value.shape.num_elements() for value in mine])
        found += [
            (variable, tf.reshape(part, value.shape))
            for variable, part, value in zip(unique.values(), parts, mine, strict=True)
        ]
    return found
