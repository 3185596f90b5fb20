"""What metrics return as results within a step.

Runs in: every Train worker.

Within a step a worker's metrics know its own rows only. For a result that is logged as it is that will do: it is asked
for again, over all workers, when the epoch is over. Where a step makes more of it (a perplexity, a weight of the loss),
results must be over all workers' rows so far, as they are in one process, and that costs a sum over the workers.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend import AutocastScope
from keras.src.backend.common.stateless_scope import in_stateless_scope

from raytrain.worker.exact import current_step
from raytrain.worker.exact.gradient_reduction import sum_over_workers
from raytrain.worker.exact.metric_pooling import is_alike, is_summed, over_all_workers, plain_value
from raytrain.worker.exact.patching import replaced
from raytrain.worker.variables import local

Logs = dict[str, Any]

_made: weakref.WeakSet[keras.metrics.Metric] = weakref.WeakSet()


@dataclass(frozen=True, kw_only=True)
class Result:
    """A tensor that `metric.result()` returned, or the part of that name of what it returned."""

    tensor: Any
    metric: keras.metrics.Metric
    part: str | None

    def is_made_more_of(self, logs: Logs) -> bool:
        """Whether the step that returned `logs` has computed with it."""
        if isinstance(self.tensor, tf.Tensor) and not tf.executing_eagerly():
            return bool(self.tensor.consumers())
        return all(value is not self.tensor for value in logs.values())


def known_when_made(init: Callable[..., None]) -> Callable[..., None]:
    """Wraps `Metric.__init__`: a step may use a metric that the model does not list, one of the module's, say."""

    @functools.wraps(init)
    def know(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        _made.add(self)

    return know


def metrics_of(model: keras.Model) -> list[keras.metrics.Metric]:
    """Those that a step of the model may use, each once."""
    return list({id(metric): metric for metric in [*model.metrics, *_made]}.values())


@contextlib.contextmanager
def recorded(model: keras.Model, *, pooled: bool) -> Iterator[list[Result]]:
    """What the model's metrics return as their results while the block, a step, runs.

    Args:
        pooled: they return what all workers' rows come to.
    """
    results: list[Result] = []
    asked: list[keras.metrics.Metric] = []

    def is_pooled() -> bool:
        # A `tf.function` of the user's is traced once: nobody can come back to it.
        return (pooled or (current_step.is_shared() and current_step.is_nested())) and not in_stateless_scope()

    def recorded_result(metric: keras.metrics.Metric) -> Callable[[], Any]:
        result = metric.result

        def result_and_note() -> Any:
            if asked:  # by a metric that is made of others
                return result()
            asked.append(metric)
            try:
                value = _over_workers(metric, result) if is_pooled() else result()
            finally:
                asked.pop()
            parts = value.items() if isinstance(value, dict) else [(None, value)]
            results.extend(Result(tensor=tensor, metric=metric, part=part) for part, tensor in parts)
            return value

        return result_and_note

    with contextlib.ExitStack() as mended:
        for metric in metrics_of(model):
            mended.enter_context(replaced(metric, "result", recorded_result(metric)))
            mended.enter_context(replaced(metric, "update_state", _only_with_rows(metric, is_pooled)))
        yield results


def pooled_anew(results: dict[str, Result], strategy: tf.distribute.Strategy) -> Logs:
    """The results over all workers, by the names under which a step logged them; every worker must call it."""
    variables = [variable for result in results.values() for variable in result.metric.variables]
    with over_all_workers(strategy, variables):
        values = {name: plain_value(result.metric.result()) for name, result in results.items()}
    return {name: value if results[name].part is None else value[results[name].part] for name, value in values.items()}


def _over_workers(metric: keras.metrics.Metric, result: Callable[[], Any]) -> Any:
    with AutocastScope(None):
        variables = [variable for variable in metric.variables if is_summed(variable)]
    totals = sum_over_workers([_own_copy(variable).read_value() for variable in variables])
    with keras.StatelessScope(state_mapping=list(zip(variables, totals, strict=True))):
        return result()


def _only_with_rows(metric: keras.metrics.Metric, is_pooled: Callable[[], bool]) -> Callable[..., Any]:
    """The metric's `update_state`, which leaves its state as it is where the step has no rows of this worker's."""
    update_state = metric.update_state

    def update(*args: Any, **kwargs: Any) -> Any:
        if not is_pooled():
            return update_state(*args, **kwargs)
        before = [(variable, _own_copy(variable).read_value()) for variable in metric.variables]
        returned = update_state(*args, **kwargs)
        for variable, value in before:
            if not is_alike(variable):
                copy = _own_copy(variable)
                copy.assign(tf.where(current_step.share() > 0, copy.read_value(), value))
        return returned

    return update


def _own_copy(variable: keras.Variable) -> tf.Variable:
    with AutocastScope(None):
        return local(tf.distribute.get_strategy(), variable)
