"""Puts back into the live model and its callbacks what the training has made of them.

Runs in: the process that calls `raytrain.fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from raytrain.errors import NotFound, Problem
from raytrain.model.live import by_value, state
from raytrain.model.live.parcel import Parcel, fetch


def take_back(
    parcel: Parcel, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], params: dict[str, Any]
) -> tuple[keras.callbacks.History, list[str]]:
    """Assigns every value; returns the history, and the names of what could not travel back and is as it was.

    Raises:
        NotFound: nothing has come back.
    """
    told_file, state_file = fetch(parcel.trained, "told.pkl"), fetch(parcel.trained, "state.npz")
    if told_file is None or state_file is None:
        expected = "what the training has sent back, which a run that ends before its first step has not"
        raise NotFound(Problem(got=f"nothing in {parcel.trained}", expected=expected))
    told = by_value.loads(told_file.read_bytes(), by_value.parts_of(model))
    state.assign(model, state.load(state_file))
    model.stop_training = told["stop_training"]
    left = list(told["left"])
    for callback, attributes in zip(callbacks, told["callbacks"], strict=True):
        left += _restore(callback, attributes, model, params)
    history = _history(told["epochs"], told["logs"], model, params)
    model.history = history
    return history, left


def _restore(
    callback: keras.callbacks.Callback, attributes: dict[str, bytes], model: keras.Model, params: dict[str, Any]
) -> list[str]:
    parts, left = by_value.parts_of(model) | {"optimizer": model.optimizer}, []
    paths = {name for kind, name in by_value.WRITES_TO.items() if isinstance(callback, kind)}
    for name, content in attributes.items():
        if name in paths:
            continue
        try:
            vars(callback)[name] = by_value.loads(content, parts)
        except Exception:  # noqa: BLE001  whatever an object of the user's raises when it is unpickled
            left.append(f"{type(callback).__name__}.{name}")
    callback._model, callback.params = model, params
    return left


def _history(
    epochs: list[int], logs: list[dict[str, Any]], model: keras.Model, params: dict[str, Any]
) -> keras.callbacks.History:
    history = keras.callbacks.History()
    history._model, history.params, history.epoch = model, params, list(epochs)
    for row in logs:
        for name, value in row.items():
            history.history.setdefault(name, []).append(value)
    return history
