"""The state of the user's callbacks as JSON, and back.

Runs in: every Train worker.

A callback that offers `get_state()` and `set_state(state)` is asked; of any other, the attributes that are plain are
taken: numbers, texts, arrays, variables, random generators, and lists, tuples, deques, sets and dicts of these.
"""

from __future__ import annotations

import collections
import inspect
import random
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

from raytrain.errors import Problem, UserCodeError

_OF_KERAS = ("params", "validation_data", "_model")
_OF_THIS_PROCESS = {keras.callbacks.CSVLogger: ("append", "append_header", "keys")}
_OFFERED = "raytrain offered"
_LARGE_BYTES = 64 * 2**10
_NOTHING: Mapping[str, int] = MappingProxyType({})


class NotPlain(TypeError):
    """A value that JSON cannot hold."""


def given(callback: keras.callbacks.Callback) -> dict[str, int]:
    """Checksums of the attributes that hold many numbers, by name: rows that a callback was made with, say."""
    sums = {name: _checksum(value) for name, value in vars(callback).items()}
    return {name: checksum for name, checksum in sums.items() if checksum is not None}


def state_of(callback: keras.callbacks.Callback, *, made_with: Mapping[str, int] = _NOTHING) -> dict[str, Any]:
    """What `restore` needs.

    Args:
        made_with: what `given` said when the callback was made; what still is as it was then is left out.

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
        if name in made_with and _checksum(value) == made_with[name]:
            continue
        try:
            if name not in left_out.union(_OF_KERAS) and not (name == "best_weights" and kept_weights(callback)):
                state[name] = ["variable", *_array(value)] if _is_variable(value) else encode(value)
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
    for name, value in state.items():
        _put(callback, name, value)


def _put(callback: keras.callbacks.Callback, name: str, value: Any) -> None:
    """Sets an attribute; a variable, and a dict of a kind of its own, keep their identity."""
    there = vars(callback).get(name)
    if isinstance(value, list) and value[0] == "variable":
        if _is_variable(there):
            there.assign(_of_array(value[1:]))
    elif isinstance(there, dict) and type(there) is not dict and isinstance(decoded := decode(value), dict):
        there.clear()
        there.update(decoded)
    else:
        vars(callback)[name] = decode(value)


def _is_variable(value: Any) -> bool:
    return isinstance(value, (keras.Variable, tf.Variable))


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
    if isinstance(value, dict):
        return ["dict", *([encode(key), encode(item)] for key, item in value.items())]
    if type(value) is collections.deque:
        return ["deque", value.maxlen, *map(encode, value)]
    if type(value) in (set, frozenset):
        return [type(value).__name__, *sorted(map(encode, value), key=repr)]
    if isinstance(value, np.random.Generator):
        state = value.bit_generator.state
        return ["generator", state["bit_generator"], encode(state)]
    if isinstance(value, np.random.RandomState):
        return ["random state", encode(value.get_state(legacy=False))]
    if type(value) is random.Random:
        return ["random", encode(value.getstate())]
    if isinstance(value, np.generic):
        return ["scalar", *_array(value)]
    if isinstance(value, np.ndarray) and (_is_of_ml_dtypes(value.dtype.name) or value.dtype.kind not in "OMV"):
        return ["array", *_array(value)]
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
        case "deque":
            return collections.deque(map(decode, items[1:]), items[0])
        case "set" | "frozenset":
            return {"set": set, "frozenset": frozenset}[kind](map(decode, items))
        case "generator" | "random state" | "random":
            return _random(kind, items)
    array = _of_array(items)
    return array if kind == "array" else array[()]


def _checksum(value: Any) -> int | None:
    """Of arrays, or lists, tuples and dicts of arrays; None where there are few numbers, or something else."""
    arrays = _arrays_in(value)
    if arrays is None or sum(array.nbytes for array in arrays) < _LARGE_BYTES:
        return None
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(f"{array.dtype}{array.shape}".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, checksum)
    return checksum


def _arrays_in(value: Any) -> list[np.ndarray[Any, Any]] | None:
    if isinstance(value, np.ndarray):
        return None if value.dtype.hasobject else [value]
    if not isinstance(value, (list, tuple, dict)):
        return None
    parts = [_arrays_in(part) for part in (value.values() if isinstance(value, dict) else value)]
    return (
        None if any(part is None for part in parts) else [array for part in parts if part is not None for array in part]
    )


def _array(value: Any) -> list[Any]:
    array = np.asarray(value)
    name = array.dtype.name if _is_of_ml_dtypes(array.dtype.name) else array.dtype.str
    return [name, list(array.shape), array.tobytes().hex()]


def _of_array(items: list[Any]) -> Any:
    name, shape, data = items
    dtype = np.dtype(getattr(ml_dtypes, name)) if _is_of_ml_dtypes(name) else np.dtype(name)
    return np.frombuffer(bytes.fromhex(data), dtype).reshape(shape).copy()


def _random(kind: str, items: list[Any]) -> Any:
    """A source of random numbers that goes on where the saved one stood."""
    if kind == "generator":
        bits = getattr(np.random, items[0])()
        bits.state = decode(items[1])
        return np.random.Generator(bits)
    made: Any = np.random.RandomState() if kind == "random state" else random.Random()
    made.set_state(decode(items[0])) if kind == "random state" else made.setstate(decode(items[0]))
    return made


def _is_of_ml_dtypes(name: str) -> bool:
    return hasattr(ml_dtypes, name)


def _offers_state(callback: keras.callbacks.Callback) -> bool:
    return _takes(getattr(callback, "get_state", None), 0) and _takes(getattr(callback, "set_state", None), 1)


def _takes(method: Any, arguments: int) -> bool:
    """Whether it can be called with so many: a `get_state(self, environment)` is a method of another meaning."""
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(*[None] * arguments)
    except (TypeError, ValueError):
        return False
    return True
