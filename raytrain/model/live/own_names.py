"""The classes and functions that a live model is made of and Keras does not know, by the names it would look for.

Runs in: the process that calls `raytrain.fit`.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import keras

from raytrain.errors import Problem, SpecError

_PARTS = (
    keras.Layer,
    keras.Optimizer,
    keras.Loss,
    keras.Metric,
    keras.Initializer,
    keras.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.DTypePolicy,
)
_OF_KERAS = ("keras", "tensorflow", "builtins", "numpy")


def own_names(*roots: Any) -> dict[str, Any]:
    """What models, and what they were compiled with, refer to.

    Raises:
        SpecError: two of them have one name.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, type | FunctionType):
            _note(item, found)
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += item
        elif isinstance(item, _PARTS):
            _note(type(item), found)
            # Keras wraps a layer's own methods, which come with its class.
            waiting += [value for name, value in vars(item).items() if not hasattr(type(item), name)]
    return found


def _note(thing: type | FunctionType, found: dict[str, Any]) -> None:
    if is_of_keras(thing) or thing.__name__ == "<lambda>":
        return
    name = keras.saving.get_registered_name(thing)
    if found.setdefault(name, thing) is not thing:
        raise SpecError(
            Problem(
                field="model",
                got=f"two of the name {name}: one of {found[name].__module__}, one of {thing.__module__}",
                expected="classes and functions of different names, by which Keras finds them again",
                fix="rename one of them, or @keras.saving.register_keras_serializable(name=…)",
            )
        )


def is_of_keras(thing: Any) -> bool:
    """Whether a class or function is found by its name wherever Keras is."""
    return str(getattr(thing, "__module__", "")).split(".")[0] in _OF_KERAS
