"""The state of the user's callbacks as JSON, and back.

Runs in: every Train worker.

A callback that offers `get_state()` and `set_state(state)` is asked; of any other, the attributes that are plain are
taken: numbers, texts, arrays, and lists, tuples and dicts of these.
"""

from __future__ import annotations

from typing import Any

import keras
import ml_dtypes
import numpy as np

from raytrain.errors import Problem, UserCodeError

_OF_KERAS = ("params", "validation_data", "_model", "best_weights")
_OF_THIS_PROCESS = {keras.callbacks.CSVLogger: ("append", "append_header", "keys")}
_OFFERED = "raytrain offered"


class NotPlain(TypeError):
    """A value that JSON cannot hold."""


def state_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """What `restore` needs.

    Raises:
        UserCodeError: what `get_state` returned is not plain.
    """
    if _offers_state(callback):
        offered: Any = callback
        try:
            return {_OFFERED: encode(offered.get_state())}
        except NotPlain as error:
            raise UserCodeError(
                Problem(
                    field="callbacks",
                    got=f"{type(callback).__name__}.get_state() with {error}",
                    expected="numbers, texts, arrays, and lists and dicts of these",
                )
            ) from error
    left_out = {name for kind, names in _OF_THIS_PROCESS.items() if isinstance(callback, kind) for name in names}
    state: dict[str, Any] = {}
    for name, value in vars(callback).items():
        try:
            if name not in left_out.union(_OF_KERAS):
                state[name] = encode(value)
        except NotPlain:
            continue
    return state


def restore(callback: keras.callbacks.Callback, state: dict[str, Any]) -> None:
    """Puts back what `state_of` gave.

    Keras' monitoring callbacks choose their comparison at the end of their first epoch and turn the sign of `min_delta`
    as they do; that has to be behind them before the saved values are put in.
    """
    if _OFFERED in state:
        offered: Any = callback
        offered.set_state(decode(state[_OFFERED]))
        return
    if getattr(callback, "monitor_op", True) is None and type(callback)._set_monitor_op is not None:
        callback._set_monitor_op()
    vars(callback).update({name: decode(value) for name, value in state.items()})


def kept_weights(callback: keras.callbacks.Callback) -> list[Any] | None:
    """The arrays under the name that Keras' own callbacks use; None where it is something else, a path say."""
    kept = getattr(callback, "best_weights", None)
    is_list = isinstance(kept, (list, tuple)) and all(isinstance(part, np.ndarray) for part in kept)
    return list(kept) if is_list and kept is not None else None


def encode(value: Any) -> Any:
    """A value as JSON: what JSON does not have stands as a list that begins with its kind.

    Raises:
        NotPlain: JSON cannot hold it.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return ["list", *map(encode, value)]
    if type(value) is tuple:
        return ["tuple", *map(encode, value)]
    if type(value) is dict:
        return ["dict", *([encode(key), encode(item)] for key, item in value.items())]
    if isinstance(value, np.generic):
        return ["scalar", *encode(np.asarray(value))[1:]]
    if isinstance(value, np.ndarray) and (_is_of_ml_dtypes(value.dtype.name) or value.dtype.kind not in "OMV"):
        name = value.dtype.name if _is_of_ml_dtypes(value.dtype.name) else value.dtype.str
        return ["array", name, list(value.shape), value.tobytes().hex()]
    raise NotPlain(f"a {type(value).__name__}")


def decode(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, *items = value
    match kind:
        case "list":
            return [decode(item) for item in items]
        case "tuple":
            return tuple(decode(item) for item in items)
        case "dict":
            return {decode(key): decode(item) for key, item in items}
    name, shape, data = items
    dtype = np.dtype(getattr(ml_dtypes, name)) if _is_of_ml_dtypes(name) else np.dtype(name)
    array = np.frombuffer(bytes.fromhex(data), dtype).reshape(shape).copy()
    return array if kind == "array" else array[()]


def _is_of_ml_dtypes(name: str) -> bool:
    return hasattr(ml_dtypes, name)


def _offers_state(callback: keras.callbacks.Callback) -> bool:
    return callable(getattr(callback, "get_state", None)) and callable(getattr(callback, "set_state", None))
