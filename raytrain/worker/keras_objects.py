"""Turns the spec's names into Keras objects: layers, optimizers, losses, metrics, callbacks.

Runs in: every Train worker, under the strategy's scope.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from raytrain.errors import Problem, UserCodeError
from raytrain.spec.value_types import is_python_ref
from raytrain.user_code import call_reference, load_reference


def build_layers(layers: Sequence[dict[str, dict[str, Any] | None]]) -> keras.Model:
    """A Sequential model of `layers:`, one-key maps in Keras' own names."""
    built = []
    for index, layer in enumerate(layers):
        [(name, arguments)] = layer.items()
        built.append(_construct(keras.layers, name, arguments or {}, field=f"model.layers.{index}"))
    try:
        return keras.Sequential(built)
    except ValueError as error:
        names = ", ".join(name for layer in layers for name in layer)
        raise UserCodeError(
            Problem(field="model.layers", got=f"{names}: {error}", expected="layers that follow from one another")
        ) from error


def optimizer(value: str | dict[str, Any], folder: Path) -> keras.optimizers.Optimizer:
    """An optimizer from a name, `{name: …, argument: …}` or FILE.py:FUNCTION; arguments may be schedules, likewise."""
    field = "compile.optimizer"
    if is_python_ref(value):
        return call_reference(str(value), folder)
    if isinstance(value, str):
        return _construct(keras.optimizers, _class_name(keras.optimizers, value, field), {}, field=field)
    arguments = {
        key: optimizer(item, folder)
        if key == "inner_optimizer"
        else _schedule(item, field=f"{field}.{key}")
        if isinstance(item, dict) and "name" in item
        else item
        for key, item in _without_name(value).items()
    }
    name = _class_name(keras.optimizers, str(value.get("name", "")), field)
    return _construct(keras.optimizers, name, arguments, field=field)


def _schedule(value: dict[str, Any], *, field: str) -> Any:
    schedules = keras.optimizers.schedules
    name = _class_name(schedules, str(value["name"]), field)
    return _construct(schedules, name, _without_name(value), field=field)


def loss_or_metric(value: Any, module: ModuleType, folder: Path, *, field: str) -> Any:
    """A loss or metric, or a list or map of them; names that are Keras' own functions are left for `compile`."""
    if value is None:
        return None
    if is_python_ref(value):
        return load_reference(value, folder)
    if isinstance(value, str):
        return _as_compile_takes_it(value, module, field)
    if isinstance(value, list):
        return [loss_or_metric(item, module, folder, field=f"{field}.{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise UserCodeError(
            Problem(field=field, got=f"{value!r}", expected="a name in Keras, or {name: …} and arguments")
        )
    if isinstance(value.get("name"), str):
        return _construct(module, _class_name(module, value["name"], field), _without_name(value), field=field)
    return {key: loss_or_metric(item, module, folder, field=f"{field}.{key}") for key, item in value.items()}


def callbacks(value: str | list[dict[str, dict[str, Any] | None]], folder: Path) -> list[keras.callbacks.Callback]:
    """The user's callbacks, from `FILE.py:FUNCTION` or from one-key maps in Keras' own names."""
    if isinstance(value, str):
        made = call_reference(value, folder)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        for item in made:
            if not isinstance(item, keras.callbacks.Callback):
                raise UserCodeError(
                    Problem(field="callbacks", got=f"a {type(item).__name__} from {value}", expected="keras callbacks")
                )
        return made
    return [
        _construct(keras.callbacks, name, arguments or {}, field=f"callbacks.{index}")
        for index, item in enumerate(value)
        for name, arguments in item.items()
    ]


def _without_name(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "name"}


def _class_name(module: ModuleType, name: str, field: str) -> str:
    """The class that a user's spelling means: `adam`, `Adam`, `categorical_crossentropy`, `CategoricalCrossentropy`."""
    found = _find_class(module, name)
    if found is None:
        raise _unknown(name, [key for key, item in vars(module).items() if isinstance(item, type)], field)
    return found


def _find_class(module: ModuleType, name: str) -> str | None:
    wanted = name.replace("_", "").lower()
    return next((key for key, item in vars(module).items() if isinstance(item, type) and key.lower() == wanted), None)


def _as_compile_takes_it(name: str, module: ModuleType, field: str) -> Any:
    """The name itself where Keras knows it, else an instance of the class that is spelt otherwise."""
    if module is keras.metrics and name in ("accuracy", "acc", "crossentropy", "ce"):
        return name
    try:
        if module.get(name) is not None:
            return name
    except ValueError:
        pass
    except TypeError as error:
        raise UserCodeError(
            Problem(field=field, got=f"`{name}` alone", expected=f"arguments too: {error}", fix=f"{{name: {name}, …}}")
        ) from error
    found = _find_class(module, name)
    if found is None:
        offered = [key for key in vars(module) if not key.startswith("_")]
        offered += ["accuracy"] if module is keras.metrics else []  # which stands for one of several
        raise _unknown(name, [key for key in offered if key not in (name, "get", "serialize", "deserialize")], field)
    return _construct(module, found, {}, field=field)


def _construct(module: ModuleType, name: str, arguments: dict[str, Any], *, field: str) -> Any:
    kind: Any = getattr(module, name, None)
    if not isinstance(kind, type) and not (module is keras.layers and name == "Input"):
        raise _unknown(name, [key for key, item in vars(module).items() if isinstance(item, type)], field)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserCodeError(
            Problem(field=field, got=f"{name} with {arguments}", expected=f"arguments that Keras takes: {error}")
        ) from error


def _unknown(name: str, offered: Sequence[str], field: str) -> UserCodeError:
    spelt = {key.lower(): key for key in offered}
    near = [spelt[key] for key in difflib.get_close_matches(name.lower(), spelt, n=1, cutoff=0.5)]
    return UserCodeError(
        Problem(
            field=field,
            got=f"`{name}`",
            expected="a name in Keras",
            fix=f"did you mean `{near[0]}`?" if near else "",
        )
    )
