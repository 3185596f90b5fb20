"""Sends back what a training has made of a live process' model and callbacks.

Runs in: every Train worker, as the last of the callbacks; the chief writes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from raytrain.model.live import by_value, state
from raytrain.model.live.parcel import Parcel, put


class Departure(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the history as Keras does, which survives a restart with the checkpoint, and sends all at the end."""

    def __init__(self, parcel: Parcel, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.epochs: list[int] = []
        self.logs: list[dict[str, Any]] = []
        self._parcel = parcel
        self._callbacks = callbacks

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.epochs.append(epoch)
        self.logs.append(dict(logs or {}))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if not _is_chief():
            return
        parts = by_value.parts_of(self.model) | {"optimizer": self.model.optimizer}
        states, left = [], []
        for callback in self._callbacks:
            state_of, kept = _portable(callback, parts)
            states.append(state_of)
            left += kept
        told = {
            "epochs": self.epochs,
            "logs": self.logs,
            "stop_training": bool(self.model.stop_training),
            "callbacks": states,
            "left": left,
        }
        with tempfile.TemporaryDirectory() as folder:
            state.save(Path(folder) / "state.npz", state.values_of(self.model))
            put(self._parcel.trained, "state.npz", (Path(folder) / "state.npz").read_bytes())
        put(self._parcel.trained, "told.pkl", by_value.dumps(told, parts))


def _portable(callback: keras.callbacks.Callback, parts: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """The attributes of a callback, each pickled alone, and the names of those that cannot be."""
    found: dict[str, bytes] = {}
    left: list[str] = []
    for name, value in vars(callback).items():
        if name in ("_model", "params"):
            continue
        try:
            found[name] = by_value.dumps(value, parts)
        except Exception:  # noqa: BLE001  whatever an object of the user's raises when it is pickled
            left.append(f"{type(callback).__name__}.{name}")
    return found, left


def _is_chief() -> bool:
    task: Mapping[str, Any] = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {})
    return int(task.get("index", 0)) == 0
