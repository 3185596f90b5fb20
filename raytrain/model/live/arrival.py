"""Unpacks the model and the callbacks of a live process.

Runs in: every Train worker, within the strategy's scope; called by the job's file that `raytrain.fit` has written.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import keras

from raytrain.errors import Problem, UserCodeError
from raytrain.model.live import by_value, state
from raytrain.model.live.departure import Departure
from raytrain.model.live.parcel import Parcel, fetch


class Arrival:
    """What has come, once its names are known to Keras.

    Args:
        folder: the job's.
    """

    def __init__(self, folder: Path) -> None:
        self._parcel = Parcel.of_job(folder)
        self._callbacks: list[keras.callbacks.Callback] = []
        for name, thing in pickle.loads(self._read("names.pkl")).items():
            package, _, own = name.rpartition(">")
            if package:
                keras.saving.register_keras_serializable(package, own)(thing)
            keras.saving.get_custom_objects()[name] = thing

    def model(self) -> keras.Model:
        """The model, compiled and with the values it had.

        What it was made of is the user's own code, that has come here by its source: lambdas may be read, too.
        """
        keras.config.enable_unsafe_deserialization()
        model = keras.saving.load_model(self._file("model.keras"), compile=False, safe_mode=False)
        parts = by_value.parts_of(model)
        parts["optimizer"] = pickle.loads(self._read("optimizer.pkl"))
        handed = by_value.loads(self._read("objects.pkl"), parts)
        self.give_functions(model)
        model.compile(**handed["compile"])
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        state.assign(model, state.load(self._file("state.npz")))
        self._callbacks = handed["callbacks"]
        return model

    def give_functions(self, model: keras.Model) -> None:
        """Gives layers their functions, which a saved model keeps without what they refer to."""
        parts = by_value.parts_of(model)
        for number, functions in pickle.loads(self._read("functions.pkl")).items():
            for name, function in functions.items():
                setattr(parts[f"layer {number}"], name, function)

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Those that were given, and last the one that sends back what they and the model have become."""
        return [*self._callbacks, Departure(self._parcel, self._callbacks)]

    def _file(self, name: str) -> Path:
        found = fetch(self._parcel.given, name)
        if found is None:
            raise UserCodeError(
                Problem(
                    field="storage",
                    got=f"no {name} in {self._parcel.given}, as this node sees it",
                    expected="a storage that the process which called raytrain.fit and every node see alike",
                    fix="storage=… an NFS mount under one path everywhere, or s3://bucket/prefix",
                )
            )
        return found

    def _read(self, name: str) -> Any:
        return self._file(name).read_bytes()
