"""Lowers the learning rate after training fell back from a loss that was no finite number.

Runs in: every Train worker.

A plain learning rate is multiplied once for each fall back, and the lowered rate is what later checkpoints hold. A
schedule's rate is multiplied as it is read, and so is what a `LearningRateScheduler` sets whose function knows the
epoch only; one that also takes the current rate starts from the lowered rate as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from raytrain.worker.variables import inner_optimizers


class Lowered(LearningRateSchedule):  # type: ignore[misc]
    """A schedule times a factor; stands in for `schedule` while training, never in a saved model."""

    def __init__(self, schedule: Any, factor: float) -> None:
        self.schedule = schedule
        self._factor = factor

    def __call__(self, step: Any) -> Any:
        return self.schedule(step) * self._factor

    def get_config(self) -> dict[str, Any]:
        return self.schedule.get_config()  # type: ignore[no-any-return]


class FallBacks:
    """How often this attempt has fallen back, and what each does to the learning rate."""

    def __init__(self, *, count: int, factor: float) -> None:
        self.count = count
        self._factor = factor
        self._lowered: set[int] | None = None

    def lower_schedules(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """To be called before a step is traced."""
        if self.count == 0:
            return
        factor = self._factor**self.count
        for optimizer in inner_optimizers(model):
            _lower_schedule(optimizer, factor)
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.LearningRateScheduler) and _takes_epoch_only(callback.schedule):
                callback.schedule = _times(callback.schedule, factor)

    def lower(self, model: keras.Model, *, done: int) -> None:
        """Lowers plain rates by the fall backs that are not in them yet: all but the `done` ones."""
        self._lowered = {id(optimizer) for optimizer in inner_optimizers(model)}
        for optimizer in inner_optimizers(model):
            _lower_rate(optimizer, self._factor ** max(0, self.count - done))

    def lower_new(self, model: keras.Model) -> None:
        """Lowers the rates of optimizers that the model has been given since training began."""
        if self.count == 0 or self._lowered is None:
            return
        for optimizer in inner_optimizers(model):
            if id(optimizer) not in self._lowered:
                self._lowered.add(id(optimizer))
                _lower_schedule(optimizer, self._factor**self.count)
                _lower_rate(optimizer, self._factor**self.count)

    def give_schedules_back(self, model: keras.Model) -> None:
        """Before the model is saved: the schedule is the user's own again."""
        for optimizer in inner_optimizers(model):
            if isinstance(optimizer._learning_rate, Lowered):
                optimizer._learning_rate = optimizer._learning_rate.schedule


def _lower_schedule(optimizer: keras.optimizers.Optimizer, factor: float) -> None:
    if isinstance(optimizer._learning_rate, LearningRateSchedule):
        optimizer._learning_rate = Lowered(optimizer._learning_rate, factor)


def _lower_rate(optimizer: keras.optimizers.Optimizer, factor: float) -> None:
    if factor != 1 and isinstance(optimizer._learning_rate, keras.Variable):
        optimizer._learning_rate.assign(optimizer._learning_rate * factor)


def _takes_epoch_only(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.1)
    except (TypeError, ValueError):
        return True
    return False


def _times(schedule: Callable[[int], float], factor: float) -> Callable[[int], float]:
    def lowered(epoch: int) -> float:
        return schedule(epoch) * factor

    return lowered
